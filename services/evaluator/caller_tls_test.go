// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/bus/bustest"
)

// authority is a CA of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	ca := &authority{t: t}
	ca.cert, ca.key = ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return ca
}

// issue signs a certificate; the CA's own, before it has one, by itself.
func (ca *authority) issue(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		ca.t.Fatal(err)
	}
	c.NotBefore = time.Now().Add(-time.Hour)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	parent, by := ca.cert, ca.key
	if parent == nil {
		parent, by = c, key
	}
	content, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		ca.t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(content); err != nil {
		ca.t.Fatal(err)
	}
	return c, key
}

// server writes a server's certificate and key.
func (ca *authority) server(dir string) {
	ca.t.Helper()
	cert, key := ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "api"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	content, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	writeFile(ca.t, dir, "api.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))
	writeFile(ca.t, dir, "api.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: content})))
}

func (ca *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
}

// client is a certificate for a caller.
func (ca *authority) client(name string, emails ...string) []tls.Certificate {
	ca.t.Helper()
	cert, key := ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, EmailAddresses: emails, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
}

// dialTLS connects with a client's certificates, none being none.
func dialTLS(t *testing.T, address string, ca *authority, own []tls.Certificate) *grpc.ClientConn {
	t.Helper()
	conf := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: own, MinVersion: tls.VersionTLS13}
	conf.RootCAs.AddCert(ca.cert)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(conf)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// overTLS serves the API with the CA's certificates from a folder, and returns its address.
func overTLS(t *testing.T, ca *authority, identities string) (dir, address string, ask func(ctx context.Context, conn *grpc.ClientConn) (string, error), admin context.Context) {
	t.Helper()
	b := bustest.New(t)
	dir = t.TempDir()
	ca.server(dir)
	writeFile(t, dir, "ca.pem", ca.pem())
	policy := callers(t, identities)
	_, admin = dialAPI(t, b, func(o *Options) {
		files, err := OpenTLS(filepath.Join(dir, "api.pem"), filepath.Join(dir, "api.key"), filepath.Join(dir, "ca.pem"), o.Log)
		if err != nil {
			t.Fatal(err)
		}
		o.PolicyDir, o.API.TLS, o.API.Services = policy, files, map[string]string{"ci.example.com": "ci"}
		address = o.API.Listener.Addr().String()
	})
	return dir, address, func(ctx context.Context, conn *grpc.ClientConn) (string, error) { return whoCalls(t, b, ctx, conn) }, admin
}

func TestClientCertificates(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	_, address, ask, admin := overTLS(t, ca, callersPeople)
	for _, c := range []struct {
		name string
		own  []tls.Certificate
		code codes.Code
		want string
	}{
		{"a person by e-mail", ca.client("whoever", "Bob@example.com"), codes.PermissionDenied, "person:bob"},
		{"a person by two e-mails", ca.client("", "bob@corp.example.com", "bob@example.com", "old@example.com"), codes.PermissionDenied, "person:bob"},
		{"a service by name", ca.client("ci.example.com"), codes.PermissionDenied, "service:ci"},
		{"two persons", ca.client("", "ann@example.com", "bob@example.com"), codes.PermissionDenied, "its e-mails are those of person:ann and person:bob"},
		{"nobody", ca.client("ann", "eve@example.com"), codes.PermissionDenied, `the certificate names nobody known: its common name "ann" does not stand under api.services, and its e-mail eve@example.com: it is nobody's address`},
		{"a name that is a service's but is not mapped", ca.client("ci"), codes.PermissionDenied, "it holds no verified e-mail"},
		{"no certificate", nil, codes.Unauthenticated, "the call shows no valid token"},
		{"another CA's", stranger.client("ci.example.com"), codes.Unavailable, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			subject, err := ask(t.Context(), dialTLS(t, address, ca, c.own))
			if strings.HasPrefix(c.want, "person:") || strings.HasPrefix(c.want, "service:") {
				said(t, c.name, err, c.code, "the policy does not let "+c.want+" do this")
				if subject != c.want {
					t.Errorf("got an event of %q, want of %q", subject, c.want)
				}
				return
			}
			if status.Code(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s with %q", err, c.code, c.want)
			}
		})
	}
	if subject, err := ask(admin, dialTLS(t, address, ca, nil)); err != nil || subject != "service:admin" {
		t.Errorf("a token over TLS: got %q, %v", subject, err)
	}
	_, err := ask(admin, dialTLS(t, address, ca, ca.client("ci.example.com")))
	said(t, "a token and another's certificate", err, codes.Unauthenticated, "proof of two callers, service:admin and service:ci")
	_, err = ask(admin, dialTLS(t, address, ca, ca.client("nobody")))
	said(t, "a token and nobody's certificate", err, codes.PermissionDenied, "the certificate names nobody known")
}

// Files that change count at once: for who connects, and for who has.
func TestCertificatesAreReadAnew(t *testing.T) {
	ca, next := newAuthority(t), newAuthority(t)
	dir, address, ask, admin := overTLS(t, ca, callersPeople)
	bob := dialTLS(t, address, ca, ca.client("", "bob@example.com"))
	if subject, _ := ask(t.Context(), bob); subject != "person:bob" {
		t.Fatalf("got %q", subject)
	}
	next.server(dir)
	if subject, err := ask(admin, dialTLS(t, address, next, nil)); subject != "service:admin" {
		t.Errorf("the new certificate: got %q, %v", subject, err)
	}
	writeFile(t, dir, "api.key", "half a file")
	if subject, err := ask(admin, dialTLS(t, address, next, nil)); subject != "service:admin" {
		t.Errorf("half a file leaves what was: got %q, %v", subject, err)
	}
	if subject, _ := ask(t.Context(), bob); subject != "person:bob" {
		t.Errorf("a connection from before: got %q", subject)
	}
	next.server(dir)
	writeFile(t, dir, "ca.pem", next.pem())
	_, err := ask(t.Context(), bob)
	said(t, "a connection by a CA that counts no more", err, codes.Unauthenticated, "the certificate is not, or no longer, one of a caller")
	if subject, _ := ask(t.Context(), dialTLS(t, address, next, next.client("", "bob@example.com"))); subject != "person:bob" {
		t.Errorf("by the new CA: got %q", subject)
	}
}

func TestCertificatesThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t)
	ca.server(dir)
	writeFile(t, dir, "empty.pem", "")
	path := func(name string) string {
		if name == "" {
			return ""
		}
		return filepath.Join(dir, name)
	}
	for _, c := range []struct{ name, cert, key, ca, want string }{
		{"no file", "none.pem", "api.key", "", "read api.tls.certificate: open "},
		{"no key", "api.pem", "api.pem", "", "read api.tls.certificate "},
		{"no CA", "api.pem", "api.key", "empty.pem", "it holds no certificate in PEM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := OpenTLS(path(c.cert), path(c.key), path(c.ca), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
	if err := os.Remove(path("api.key")); err != nil {
		t.Fatal(err)
	}
}
