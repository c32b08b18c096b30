// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
)

// API is where the gRPC API listens and how callers prove who they are, besides by tokens.
type API struct {
	// Listen is the address to listen on; beyond loopback only with TLS.
	Listen string `yaml:"listen"`
	// TLS of the connections; no certificate = none.
	TLS TLS `yaml:"tls"`
	// OIDC is whose ID and access tokens count; no issuer = nobody's.
	OIDC OIDC `yaml:"oidc"`
	// Services are the names of callers that are services, by their certificate's common name or their OIDC subject.
	Services map[string]string `yaml:"services"`
}

// TLS names PEM files, which are read anew when they change.
type TLS struct {
	// Certificate of the API, with what stands between it and its CA.
	Certificate string `yaml:"certificate"`
	// Key of the certificate.
	Key string `yaml:"key"`
	// ClientCA is by whose certificates callers may prove themselves; empty = by nobody's.
	ClientCA string `yaml:"client_ca"`
}

// OIDC names who issues tokens, and for whom.
type OIDC struct {
	// Issuer is its URL, as its tokens name it.
	Issuer string `yaml:"issuer"`
	// Audience that a token must be for, such as Curfew's client id there.
	Audience string `yaml:"audience"`
}

// serviceName keeps a service fit for a subject, and apart from vendors' services, which have a "/" in theirs.
var serviceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (a API) check() error {
	if err := a.TLS.check(); err != nil {
		return err
	}
	if err := a.OIDC.check(); err != nil {
		return err
	}
	for proof, name := range a.Services {
		if proof == "" || !serviceName.MatchString(name) {
			return fmt.Errorf("api.services: %q: %q is no name of a service; write letters, digits, \".\", \"_\" and \"-\", at most 63", proof, name)
		}
	}
	if a.TLS.Certificate == "" {
		if err := checkLoopback(a.Listen); err != nil {
			return fmt.Errorf("api.listen: %w; set api.tls to serve others", err)
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(a.Listen); err != nil {
		return fmt.Errorf("api.listen: %q is no address; write HOST:PORT, such as 0.0.0.0:7421", a.Listen)
	}
	return nil
}

func (t TLS) check() error {
	switch {
	case (t.Certificate == "") != (t.Key == ""):
		return fmt.Errorf("api.tls: certificate and key go together; one of them is missing")
	case t.ClientCA != "" && t.Certificate == "":
		return fmt.Errorf("api.tls.client_ca: callers can show certificates only to a server that has one; set api.tls.certificate and api.tls.key")
	}
	return nil
}

func (o OIDC) check() error {
	if o == (OIDC{}) {
		return nil
	}
	if o.Issuer == "" || o.Audience == "" {
		return fmt.Errorf("api.oidc: issuer and audience go together; without an audience a token for anybody would do")
	}
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && (u.Scheme != "http" || checkLoopback(net.JoinHostPort(u.Hostname(), "0")) != nil) {
		return fmt.Errorf("api.oidc.issuer: %q is no issuer; write its URL as its tokens name it, such as https://login.example.com", o.Issuer)
	}
	return nil
}
