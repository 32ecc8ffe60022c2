"""What kernels compute, written for any kind of number: back ends turn it into code of their own."""
