// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"math/rand/v2"
	"net/http"
	"strings"
)

// googleStrays are the answers that something is not there which is: Google is known for one now and then.
type googleStrays struct {
	rand   *rand.Rand
	sound  map[string]int // by method and path, how many answers to come are none
	hidden []googleHidden
}

// googleSound is how many requests for the same thing are answered truly behind a stray answer.
const googleSound = 4

// googleHidden is what the next requests are not to find.
type googleHidden struct {
	method, path string
	times        int
}

func newGoogleStrays(seed uint64) *googleStrays {
	return &googleStrays{rand: rand.New(rand.NewPCG(seed, 0x737472)), sound: map[string]int{}}
}

// Hide makes the next so many requests of a method to a path find nothing there, whatever there is.
func (g *Google) Hide(method, path string, times int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.strays.hidden = append(g.strays.hidden, googleHidden{method, path, times})
}

// refusal is why a request is not even looked at; none where it is.
func (g *Google) refusal(r *http.Request) googleAnswer {
	s := g.strays
	switch {
	case g.directory.forbids(r.URL.Path):
		return googleRefusal(http.StatusForbidden, "forbidden", "Not Authorized to access this resource/api")
	case !strings.HasPrefix(r.URL.Path, "/admin/directory/"):
		return googleAnswer{}
	}
	for i := range s.hidden {
		if h := &s.hidden[i]; h.times > 0 && h.method == r.Method && h.path == r.URL.Path {
			h.times--
			return googleNotFound("for a moment")
		}
	}
	key := r.Method + " " + r.URL.Path
	if s.sound[key] > 0 {
		s.sound[key]--
		return googleAnswer{}
	}
	if g.config.StrayEvery > 0 && s.rand.Float64()*float64(g.config.StrayEvery) < 1 {
		s.sound[key] = googleSound
		return googleNotFound("for a moment")
	}
	return googleAnswer{}
}
