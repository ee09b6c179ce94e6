"""What user space carries itself: connections that the kernel's NAT leaves to us."""
