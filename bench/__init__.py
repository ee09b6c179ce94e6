"""How fast Linkspan is, beside what the kernel itself needs: `sudo ./run bench`."""
