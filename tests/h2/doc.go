// Package h2 plays hostile HTTP/2 against the listener: requests that mean something else in HTTP/1.1, as the application
// gets them; floods; and everything that could carry the pairing token out, or its event in.
package h2
