// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/config"
)

// client is how the admin commands reach the API.
type client struct {
	address   string
	tokenFile string
	ca        string // files, PEM
	cert, key string
}

// flags adds the client's flags to a command.
func (api *client) flags(command *cobra.Command) {
	flags := command.PersistentFlags()
	flags.StringVar(&api.address, "address", config.Default().API.Listen, "address of the API; beyond this machine with TLS alone")
	flags.StringVar(&api.tokenFile, "token-file", os.Getenv("CURFEW_TOKEN_FILE"), "file with the API token (default $CURFEW_TOKEN_FILE, then ./curfew-data/admin.token)")
	flags.StringVar(&api.ca, "tls-ca", os.Getenv("CURFEW_TLS_CA"), "file with the CA of the API's certificate (default $CURFEW_TLS_CA, then this machine's)")
	flags.StringVar(&api.cert, "tls-cert", os.Getenv("CURFEW_TLS_CERT"), "file with a certificate to prove oneself with (default $CURFEW_TLS_CERT)")
	flags.StringVar(&api.key, "tls-key", os.Getenv("CURFEW_TLS_KEY"), "file with the key of that certificate (default $CURFEW_TLS_KEY)")
}

// dial returns a connection to the API; the caller closes it.
func (api *client) dial() (*grpc.ClientConn, error) {
	transport, secure, err := api.transport()
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport)}
	if api.tokenFile != "" || api.cert == "" { // a certificate is proof enough
		path := cmp.Or(api.tokenFile, config.Default().Data+"/"+tokenFile)
		token, err := readToken(path)
		if err != nil {
			return nil, fmt.Errorf("%w; name the file with --token-file: `curfew run` makes admin.token in its data directory, and `curfew token create` shows tokens of others", err)
		}
		options = append(options, grpc.WithPerRPCCredentials(bearer{token, secure}))
	}
	conn, err := grpc.NewClient(api.address, options...)
	if err != nil {
		return nil, usageError{fmt.Errorf("--address %s: %w", api.address, err)}
	}
	return conn, nil
}

// transport is TLS wherever a file of it is named or the API is on another machine; no token goes there in the clear.
func (api *client) transport() (transport credentials.TransportCredentials, secure bool, err error) {
	if (api.cert == "") != (api.key == "") {
		return nil, false, usageError{errors.New("--tls-cert and --tls-key go together")}
	}
	if api.ca == "" && api.cert == "" && isLoopback(api.address) {
		return insecure.NewCredentials(), false, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	if api.ca != "" {
		content, err := os.ReadFile(api.ca)
		if err != nil {
			return nil, false, fmt.Errorf("read --tls-ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(content) {
			return nil, false, fmt.Errorf("read --tls-ca %s: it holds no certificate in PEM", api.ca)
		}
	}
	if api.cert != "" {
		pair, err := tls.LoadX509KeyPair(api.cert, api.key)
		if err != nil {
			return nil, false, fmt.Errorf("read --tls-cert %s with --tls-key %s: %w", api.cert, api.key, err)
		}
		// Shown even to an API that names other CAs, which then says so; else it would be kept back without a word.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return credentials.NewTLS(conf), true, nil
}

// isLoopback is whether an address is on this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// bearer shows the token with each call.
type bearer struct {
	token  string
	secure bool
}

// GetRequestMetadata returns the header that carries the token.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity is false only towards this machine itself.
func (b bearer) RequireTransportSecurity() bool { return b.secure }

// window is the flags that bound a time.
type window struct{ from, until string }

func (w *window) flags(command *cobra.Command) {
	command.Flags().StringVar(&w.from, "from", "", "earliest event time: 2026-11-02, 2026-11-02T09:00:00Z, or 24h for so long ago")
	command.Flags().StringVar(&w.until, "until", "", "latest event time, excluded; same forms")
}

func (w *window) times(now time.Time) (from, until *timestamppb.Timestamp, err error) {
	if from, err = parseTime("--from", w.from, now); err != nil {
		return nil, nil, err
	}
	until, err = parseTime("--until", w.until, now)
	return from, until, err
}

// parseTime reads a time as a person writes it on a command line: a day (UTC), a moment, or how long ago.
func parseTime(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return timestamppb.New(now.Add(-ago.Abs())), nil
	}
	if t, ok := parseDate(text); ok {
		return timestamppb.New(t), nil
	}
	return nil, usageError{fmt.Errorf("%s %q is no time; write 2026-11-02, 2026-11-02T09:00:00Z, or 24h for so long ago", flag, text)}
}

// parseDate reads a day or a moment, UTC where it says no zone.
func parseDate(text string) (t time.Time, ok bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
