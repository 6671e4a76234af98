// Package app is the programs that guests and peers come with: servers, clients,
// traffic sources, and network functions. Each is a guest.Program, made from a
// Config struct whose zero value is documented, or by its name with arguments as
// text, as scenarios and the command line have them:
//
//	main, err := app.New("http", map[string]string{"port": "8080"})
//
// What a program finds out it records (guest.Proc.Record); the comment of its Config
// names the results. Whatever comes from the net, no program panics.
package app
