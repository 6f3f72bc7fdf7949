// Package h1 plays a corpus of hostile HTTP/1.1 against the engine. README.md says what a verdict means.
package h1
