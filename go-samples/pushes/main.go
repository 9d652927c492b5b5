// Pushes is a program that a profile makes faster, and whose profile can be had in two ways: it pushes
// it to a profile store with Pyroscope's client, and serves it at /debug/pprof.
//
//	pushes -server http://127.0.0.1:4040 -name pushes -for 10s -every 2s
//	pushes -serve 127.0.0.1:6060 -for 1m
//
// It works until the time is over, or until standard input ends.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"time"

	"github.com/grafana/pyroscope-go"
)

func main() {
	server := flag.String("server", "", "push to the profile store at this `URL`")
	name := flag.String("name", "pushes", "the service's `name` there")
	password := flag.String("token", "", "a `token` of the store")
	every := flag.Duration("every", 15*time.Second, "how often to push")
	serve := flag.String("serve", "", "serve /debug/pprof on this `address`")
	length := flag.Duration("for", 10*time.Second, "how long to work")
	flag.Parse()

	if *serve != "" {
		listener, err := net.Listen("tcp", *serve)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("http://%s\n", listener.Addr())
		go func() { log.Fatal(http.Serve(listener, nil)) }()
	}
	var profiler *pyroscope.Profiler
	if *server != "" {
		var err error
		// As its documentation says, with all kinds of profiles.
		profiler, err = pyroscope.Start(pyroscope.Config{
			ApplicationName:   *name,
			ServerAddress:     *server,
			BasicAuthUser:     "pushes",
			BasicAuthPassword: *password,
			UploadRate:        *every,
			Logger:            told{},
			Tags:              map[string]string{"hostname": "here"},
			ProfileTypes: append(pyroscope.DefaultProfileTypes,
				pyroscope.ProfileGoroutines, pyroscope.ProfileMutexCount, pyroscope.ProfileBlockCount),
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	end := time.After(*length)
	var total uint64
	for working := true; working; {
		total += drive(1 << 20)
		select {
		case <-end:
			working = false
		case <-done:
			working = false
		default:
		}
	}
	if profiler != nil {
		profiler.Flush(true)
		if err := profiler.Stop(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("total", total)
}

// told says what the client would not: that a push was refused.
type told struct{}

func (told) Infof(string, ...interface{})  {}
func (told) Debugf(string, ...interface{}) {}
func (told) Errorf(format string, args ...interface{}) {
	log.Printf(format, args...)
}
