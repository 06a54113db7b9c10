//go:build race

package repotest

// RaceDetector tells that the race detector is on, with which everything takes ten
// times as long: tests of volume, not of races, then do less.
const RaceDetector = true
