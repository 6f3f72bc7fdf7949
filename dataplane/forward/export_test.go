package forward

// AppendRequest is for the tests that need route beside it, which imports this package.
var AppendRequest = appendRequest
