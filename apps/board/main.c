/* Runs the network on images that are compiled in; prints outputs and instructions.

   The emulator counts an instruction as a nanosecond (-icount shift=0), and the
   system's timer counts nanoseconds by 40, as its clock has 25 MHz. */
#include <stdint.h>

#include "images.h"
#include "net.h"

void host_call(int operation, const void *argument);

static struct net net;
static int32_t outputs[NET_OUTPUTS_SIZE];

#define TIMER_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define TIMER_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define TIMER_VALUE (*(volatile uint32_t *)0xE000E018u)
#define TIMER_MOST 0xFFFFFFu
#define INSTRUCTIONS_A_TICK 40u

static void print_number(int32_t number, const char *end) {
  char text[12];
  int place = 11;
  uint32_t left = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
  text[place] = 0;
  do {
    text[--place] = (char)('0' + left % 10u);
    left /= 10u;
  } while (left != 0u);
  if (number < 0) text[--place] = '-';
  host_call(4, text + place);
  host_call(4, end);
}

int main(void) {
  TIMER_RELOAD = TIMER_MOST;
  for (int i = 0; i < IMAGES; ++i) {
    TIMER_VALUE = 0;
    TIMER_CONTROL = 5; /* on, from the processor's clock */
    const uint32_t begin = TIMER_VALUE;
    net_run(&net, images(i), outputs);
    const uint32_t ticks = (begin - TIMER_VALUE) & TIMER_MOST;
    print_number((int32_t)(ticks * INSTRUCTIONS_A_TICK), ":");
    for (int k = 0; k < NET_OUTPUTS_SIZE; ++k) {
      host_call(4, " ");
      print_number(outputs[k], "");
    }
    host_call(4, "\n");
  }
  return 0;
}
