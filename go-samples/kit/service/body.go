package service

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// Body reads a request's body of at most limit bytes.
func Body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, Errorf(http.StatusUnsupportedMediaType, "Content-Encoding %q is not supported; send the body uncompressed", enc)
	}
	limited := http.MaxBytesReader(w, r.Body, limit)
	var body []byte
	var err error
	if r.ContentLength < 0 || r.ContentLength > limit {
		body, err = io.ReadAll(limited)
	} else {
		// Its length is known: one buffer of that size.
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	}
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, Errorf(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", limit)
	case err != nil:
		return nil, Errorf(http.StatusBadRequest, "the body could not be read to its end (%v); send the request again", err)
	}
	return body, nil
}

// ReadJSON reads a body of at most limit bytes into v. Unknown fields are mistakes.
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return Errorf(http.StatusUnsupportedMediaType, "Content-Encoding %q is not supported; send the body uncompressed", enc)
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		// One value and nothing after it.
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err == nil {
			err = errors.New("there is something after the first value")
		}
	}
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return Errorf(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", limit)
	}
	return Errorf(http.StatusBadRequest, "the body is not the JSON that is expected here: %v", err)
}
