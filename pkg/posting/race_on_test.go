//go:build race

package posting

// raceDetector says that everything takes ten times as long.
const raceDetector = true
