/* Starts a Cortex-M: vectors, memory, main, and the way back to the emulator. */
#include <stdint.h>
#include <string.h>

extern uint32_t stack_top[], data_from[], data_begin[], data_end[], bss_begin[],
    bss_end[];
int main(void);

/* Calls of the emulator: 4 writes a string, 0x18 ends the program. */
void host_call(int operation, const void *argument) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void reset(void) {
  memcpy(data_begin, data_from, (size_t)((char *)data_end - (char *)data_begin));
  memset(bss_begin, 0, (size_t)((char *)bss_end - (char *)bss_begin));
  const int failed = main();
  /* 0x20026: ended as it should; 0x20023: an error. */
  host_call(0x18, (const void *)(failed ? 0x20023u : 0x20026u));
  for (;;) {
  }
}

static void fault(void) {
  host_call(4, "fault\n");
  host_call(0x18, (const void *)0x20023u);
  for (;;) {
  }
}

static const struct {
  void *stack;
  void (*handlers[15])(void);
} vectors __attribute__((section(".vectors"), used)) = {
    stack_top, {reset, fault, fault, fault, fault, fault}};
