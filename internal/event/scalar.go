// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package event

import "encoding/json"

// Scalar is a JSON string, number or boolean as text, for fields that vendors and log shippers write now as one and now
// as another: ids, times, flags. Null and "" are no text. It is for encoding/json; two Scalars are equal when text and
// Odd are.
type Scalar struct {
	// Text is the string, or the number or boolean as it was written. It is not cleaned.
	Text string
	// Odd is set where an object or a list stands there instead.
	Odd bool
}

// UnmarshalJSON takes one JSON value. It never fails: an error would end the reading of the whole record. A value
// without text leaves what s has, so that one record may be read over another.
func (s *Scalar) UnmarshalJSON(value []byte) error {
	if len(value) == 0 {
		return nil
	}
	switch value[0] {
	case '"':
		if inner := value[1 : len(value)-1]; !isPlain(inner) {
			_ = json.Unmarshal(value, &s.Text)
			s.Odd = false
		} else if len(inner) > 0 {
			*s = Scalar{Text: string(inner)}
		}
	case '{', '[':
		s.Odd = true
	case 'n':
	default:
		*s = Scalar{Text: string(value)}
	}
	return nil
}

// isPlain reports whether the inside of a JSON string stands for itself.
func isPlain(inner []byte) bool {
	for _, c := range inner {
		if c == '\\' || c < 0x20 || c >= 0x80 {
			return false
		}
	}
	return true
}
