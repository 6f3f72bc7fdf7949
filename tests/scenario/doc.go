// Package scenario tells the stories of operators with the real programs: one file a story.
package scenario
