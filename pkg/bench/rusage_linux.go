package bench

// maxrssUnit is what the peak of memory in rusage is counted in, in bytes.
const maxrssUnit = 1024
