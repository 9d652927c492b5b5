// Package token makes and checks signed tokens: NAME.CLAIMS.SIGNATURE, where the
// last two are base64url. NAME says which key signed.
package token

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Signer signs with one key.
type Signer interface {
	Sign(message []byte) []byte
	Verify(message, signature []byte) bool
}

// Keys are the signers by name.
type Keys map[string]Signer

// Derive makes the keys "hmac" and "ed25519" from a secret.
func Derive(secret string) Keys {
	seed := func(use string) []byte {
		sum := sha256.Sum256([]byte(use + "\x00" + secret))
		return sum[:]
	}
	return Keys{
		"hmac":    shared(seed("hmac")),
		"ed25519": private(ed25519.NewKeyFromSeed(seed("ed25519"))),
	}
}

// shared is HMAC-SHA-256.
type shared []byte

func (k shared) Sign(message []byte) []byte {
	mac := hmac.New(sha256.New, k)
	mac.Write(message)
	return mac.Sum(nil)
}

func (k shared) Verify(message, signature []byte) bool { return hmac.Equal(k.Sign(message), signature) }

type private ed25519.PrivateKey

func (k private) Sign(message []byte) []byte { return ed25519.Sign(ed25519.PrivateKey(k), message) }

func (k private) Verify(message, signature []byte) bool {
	return ed25519.Verify(ed25519.PrivateKey(k).Public().(ed25519.PublicKey), message, signature)
}

// Claims is what a token says.
type Claims struct {
	Subject string   `json:"sub"`
	Expires int64    `json:"exp"` // seconds since 1970
	Scopes  []string `json:"scopes,omitempty"`
}

// Strict: one signature has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// Make signs claims with the key of a name.
func (k Keys) Make(name string, c Claims) (string, error) {
	signer, ok := k[name]
	if !ok {
		return "", fmt.Errorf("there is no key %q", name)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	text := encoding.AppendEncode([]byte(name+"."), body)
	signature := signer.Sign(text)
	return string(encoding.AppendEncode(append(text, '.'), signature)), nil
}

// Mistakes in a token.
var (
	ErrForm      = errors.New("a token is NAME.CLAIMS.SIGNATURE")
	ErrSignature = errors.New("the token's signature does not fit")
	ErrExpired   = errors.New("the token has expired")
)

// Check returns what a token says, once its signature and time are right.
func (k Keys) Check(text string, now time.Time) (c Claims, err error) {
	end := strings.LastIndexByte(text, '.')
	name, body, ok := strings.Cut(text[:max(end, 0)], ".")
	if !ok {
		return c, ErrForm
	}
	signature, err := encoding.DecodeString(text[end+1:])
	if err != nil {
		return c, ErrForm
	}
	signer, ok := k[name]
	if !ok || !signer.Verify([]byte(text[:end]), signature) {
		return c, ErrSignature
	}
	claims, err := encoding.DecodeString(body)
	if err == nil {
		err = json.Unmarshal(claims, &c)
	}
	if err != nil {
		return c, ErrForm
	}
	if now.Unix() >= c.Expires {
		return c, ErrExpired
	}
	return c, nil
}
