//go:build !linux

package bench

// maxrssUnit is what the peak of memory in rusage is counted in, in bytes. (The BSDs
// count as Linux does, and macOS does not.)
const maxrssUnit = 1
