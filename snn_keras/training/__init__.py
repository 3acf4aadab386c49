"""What training a source network needs beside Keras's own."""
