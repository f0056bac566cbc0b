// SPDX-License-Identifier: AGPL-3.0-only
// The one permission that weakens BaseUrl, as a type of its own so that every use is found by
// searching for its name.
#ifndef AUSPEX_COMMON_WIRE_PLAIN_HTTP_H_
#define AUSPEX_COMMON_WIRE_PLAIN_HTTP_H_

namespace auspex {

// Passed to BaseUrl::Parse it lets plain http go to any host. For reading vectors and captured
// traffic only: no daemon may connect to what was parsed with it (promise P14).
struct AllowPlainHttpAnywhere {};

}  // namespace auspex

#endif  // AUSPEX_COMMON_WIRE_PLAIN_HTTP_H_
