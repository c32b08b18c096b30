// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"

	"github.com/curfewhq/curfew/internal/event"
)

// Quiet is an error of net/http without what the other side sent: net/http quotes an answer that is none, and that may
// hold what the request held.
func Quiet(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("no answer in time")
	}
	for _, known := range []error{context.Canceled, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		// It comes before anything was asked, so it can hold no secret; what it says of names is the other side's.
		return errors.New(event.Clean(certificate.Error()))
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return network
	}
	return errors.New("no sound answer; check the address, and the proxy and its certificate if there is one")
}
