package main

import (
	"encoding/json"
	"strings"
	"testing"

	"probelab.dev/go-samples/monorepo/internal/routetest"
	"probelab.dev/go-samples/monorepo/internal/token"
)

func bearer(t *testing.T, secret, subject string, expires int64) string {
	t.Helper()
	text, err := token.Derive(secret).Make("hmac", token.Claims{Subject: subject, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestForward(t *testing.T) {
	s := routetest.WithFlags(t, flags, "--secret", "s", "--rate", "3")
	s.Want("/forward", "{}", 401, "Bearer TOKEN is missing")
	s.Bearer(bearer(t, "s", "ada", 1))
	s.Want("/forward", "{}", 401, "expired")
	s.Bearer(bearer(t, "another", "ada", 1<<40))
	s.Want("/forward", "{}", 401, "signature")
	s.Bearer(bearer(t, "s", "ada", 1<<40))
	first := s.Want("/forward", `{"a": 1, "card": {"n": 2}, "b": [{"password": "x"}]}`, 200, `"hidden":2,"body":{"a":1,"card":"***","b":[{"password":"***"}]}}`)
	if !json.Valid([]byte(first)) {
		t.Error("it is not JSON")
	}
	s.Want("/forward", `{"a"`, 400, "the body is not JSON: a colon was expected")
	s.Want("/forward", `"`+strings.Repeat("x", maxBody)+`"`, 413, "longer than")
	server := first[:strings.Index(first, ",")]
	s.Want("/forward", `[]`, 200, server) // the same subject, the same server
	s.Want("/forward", `[]`, 429, "ada makes more than 3 requests a second")
	s.Bearer(bearer(t, "s", "bob", 1<<40))
	s.Want("/forward", `[]`, 200, `"hidden":0`)
}
