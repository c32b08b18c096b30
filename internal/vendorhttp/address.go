// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp

import (
	"errors"
	"net"
	"net/url"
)

// Address is text as an address that a secret may travel to: https, or on this machine http. Its errors do not repeat
// text, which may hold a password.
func Address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("not an address")
	case u.User != nil:
		return nil, errors.New("holds a user or a password; leave them out")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("a secret may travel by https alone")
	}
	return u, nil
}

// Host is an Address of scheme and host alone.
func Host(text string) (*url.URL, error) {
	u, err := Address(text)
	if err != nil {
		return nil, err
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("holds more than the host; leave out what follows it")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
