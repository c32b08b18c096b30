// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
)

// certify writes a CA, and certificates of its for the API and for ann, and returns the folder.
func certify(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var ca *x509.Certificate
	var caKey *ecdsa.PrivateKey
	for i, c := range []struct {
		name string
		of   x509.Certificate
	}{
		{"ca", x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}},
		{"api", x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}},
		{"ann", x509.Certificate{EmailAddresses: []string{"ann@example.com"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c.of.SerialNumber, c.of.Subject = big.NewInt(int64(i+1)), pkix.Name{CommonName: c.name}
		c.of.NotBefore, c.of.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		if ca == nil {
			ca, caKey = &c.of, key
		}
		content, err := x509.CreateCertificate(rand.Reader, &c.of, ca, key.Public(), caKey)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{c.name + ".pem": {Type: "CERTIFICATE", Bytes: content}, c.name + ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
			if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestTheClientOverTLS(t *testing.T) {
	certs, others, dir := certify(t), certify(t), t.TempDir()
	file := func(name string) string { return filepath.Join(certs, name) }
	for name, text := range map[string]string{
		"policy.csv": "p, role:anyone, *, *, level:low, *, allow\np, service:admin, *, curfew/api/*, audit, *, allow\n", "identities.yaml": "people: [{id: ann, emails: [ann@example.com]}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := config.Default()
	conf.Data, conf.Policy, conf.Telemetry.Listen = t.TempDir(), dir, "127.0.0.1:0"
	conf.API = config.API{Listen: "127.0.0.1:0", TLS: config.TLS{Certificate: file("api.pem"), Key: file("api.key"), ClientCA: file("ca.pem")}}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- serve(ctx, system{config: conf, services: services(), out: io.Discard, log: slog.New(slog.DiscardHandler), ready: func(api string) { ready <- api }})
	}()
	defer func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serve: got %v, want Canceled", err)
		}
	}()
	address := <-ready
	admin := filepath.Join(conf.Data, tokenFile)
	t.Setenv("CURFEW_TOKEN_FILE", "")
	for _, c := range []struct {
		name  string
		flags []string
		code  int
		out   string
	}{
		{"a token over TLS", []string{"--tls-ca", file("ca.pem"), "--token-file", admin}, exitDone, "no tokens"},
		{"a certificate", []string{"--tls-ca", file("ca.pem"), "--tls-cert", file("ann.pem"), "--tls-key", file("ann.key")}, exitDone, "no tokens"},
		{"both, of two callers", []string{"--tls-ca", file("ca.pem"), "--tls-cert", file("ann.pem"), "--tls-key", file("ann.key"), "--token-file", admin}, exitFailed, "proof of two callers, service:admin and person:ann"},
		{"a CA that is another's", []string{"--tls-ca", file("ann.pem"), "--token-file", admin}, exitFailed, "certificate"},
		{"a certificate of another CA", []string{"--tls-ca", file("ca.pem"), "--tls-cert", filepath.Join(others, "ann.pem"), "--tls-key", filepath.Join(others, "ann.key")}, exitFailed, "know the CA of the certificate in --tls-cert"},
		{"in the clear", []string{"--token-file", admin}, exitFailed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(t.Context(), append([]string{"token", "list", "--address", address}, c.flags...), nil, &out, &out)
			if code != c.code || !strings.Contains(out.String(), c.out) {
				t.Errorf("got %d, %s, want %d with %q", code, out.String(), c.code, c.out)
			}
		})
	}
}

// A token goes to another machine under TLS alone, whatever flags there are.
func TestTokensDoNotTravelInTheClear(t *testing.T) {
	for _, c := range []struct {
		address string
		want    bool
	}{{"127.0.0.1:7421", false}, {"[::1]:7421", false}, {"localhost:7421", false}, {"curfew.example.com:7421", true}, {"192.0.2.1:7421", true}, {"127.0.0.1.example.com:7421", true}, {"dns:///127.0.0.1:7421", true}} {
		if _, got, err := (&client{address: c.address}).transport(); got != c.want || err != nil {
			t.Errorf("%s: got TLS %t, %v, want %t", c.address, got, err, c.want)
		}
	}
}
