// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// TLS is the API's certificate and the CA of its callers', read anew at each handshake and each call so that a rotation
// counts at once. Safe for concurrent use.
type TLS struct {
	files [3]string // certificate, key, CA of clients
	log   *slog.Logger

	mu     sync.Mutex
	digest [sha256.Size]byte
	config *tls.Config
	warned string // what was last wrong, so that it is said once
}

// OpenTLS reads PEM files; clientCA may be "", and then no client's certificate counts. An error names the file and what
// is wrong with it. Files that later cannot be read leave what was read before in force, and are logged.
func OpenTLS(certificate, key, clientCA string, log *slog.Logger) (*TLS, error) {
	t := &TLS{files: [3]string{certificate, key, clientCA}, log: log}
	contents, err := t.read()
	if err != nil {
		return nil, err
	}
	t.config, err = makeTLS(t.files, contents)
	return t, err
}

func (t *TLS) read() (contents [3][]byte, err error) {
	sum := sha256.New()
	for i, file := range t.files {
		if file == "" {
			continue
		}
		if contents[i], err = os.ReadFile(file); err != nil {
			return contents, fmt.Errorf("read %s: %w", [...]string{"api.tls.certificate", "api.tls.key", "api.tls.client_ca"}[i], err)
		}
		fmt.Fprintf(sum, "%d:", len(contents[i]))
		sum.Write(contents[i])
	}
	copy(t.digest[:], sum.Sum(nil))
	return contents, nil
}

func makeTLS(files [3]string, contents [3][]byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return nil, fmt.Errorf("read api.tls.certificate %s with api.tls.key %s: %w", files[0], files[1], err)
	}
	// gRPC speaks HTTP/2 alone, and the configuration of a single handshake has to say so itself.
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}
	if files[2] != "" {
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !config.ClientCAs.AppendCertsFromPEM(contents[2]) {
			return nil, fmt.Errorf("read api.tls.client_ca %s: it holds no certificate in PEM", files[2])
		}
	}
	return config, nil
}

// current is the configuration by the files as they are now.
func (t *TLS) current() *tls.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.digest
	contents, err := t.read()
	if err == nil && t.digest != before {
		var config *tls.Config
		if config, err = makeTLS(t.files, contents); err == nil {
			t.config = config
			t.log.Info("certificates of the API read anew")
		}
	}
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != "" && trouble != t.warned {
		t.log.Warn("certificates of the API cannot be read; those read before count on", "error", trouble)
	}
	t.warned = trouble
	return t.config
}

// credentials is the server's side of it.
func (t *TLS) credentials() credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.current(), nil },
	})
}

// byCertificate is the caller whose certificate the connection showed; shown is false where it showed none. It is looked
// at again at each call: a connection can outlive its certificate, and the CA behind it.
func (a *api) byCertificate(ctx context.Context) (c caller, shown bool, err error) {
	from, _ := peer.FromContext(ctx)
	if from == nil || a.API.TLS == nil {
		return caller{}, false, nil
	}
	info, _ := from.AuthInfo.(credentials.TLSInfo)
	if len(info.State.PeerCertificates) == 0 {
		return caller{}, false, nil
	}
	own, rest := info.State.PeerCertificates[0], x509.NewCertPool()
	for _, between := range info.State.PeerCertificates[1:] {
		rest.AddCert(between)
	}
	config := a.API.TLS.current()
	if config.ClientCAs == nil {
		return caller{}, true, status.Error(codes.Unauthenticated, "the call shows a certificate and the configuration names no api.tls.client_ca to check it by")
	}
	if _, err := own.Verify(x509.VerifyOptions{Roots: config.ClientCAs, Intermediates: rest, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return caller{}, true, status.Errorf(codes.Unauthenticated, "the certificate is not, or no longer, one of a caller: %v", err)
	}
	c, err = a.named(ctx, "the certificate", "common name", own.Subject.CommonName, own.EmailAddresses)
	c.until, c.proof = own.NotAfter, "certificate "+own.SerialNumber.Text(16)
	return c, true, err
}
