// Package rows shows the behaviours of the ASP.NET Core Module, one by one: a row of list.txt is a subtest whose name begins
// with its id. Each starts the real agent in front of a real application and says what it saw of it from outside (an answer, a
// file, an event, a process). tests/rows/report reads the run and counts a row only when it passed and something was seen.
package rows
