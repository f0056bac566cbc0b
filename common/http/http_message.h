// SPDX-License-Identifier: AGPL-3.0-only
// The request and response of an HTTP call, and the limits that a call runs under. Plain values;
// copyable, no threads of their own.
#ifndef AUSPEX_COMMON_HTTP_HTTP_MESSAGE_H_
#define AUSPEX_COMMON_HTTP_HTTP_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/wire/base_url.h"

namespace auspex {

// One request. `Host`, `Content-Length`, `User-Agent`, `Accept` and `Accept-Encoding` are the
// client's; a header given here replaces the client's of that name.
struct HttpRequest {
  std::string method;  // "GET", "POST" or "PUT"
  BaseUrl base;        // scheme and authority; plain http is refused unless the host is loopback
  std::string target;  // request target as it goes on the wire: begins with '/', printable ASCII,
                       // prefix included
  std::vector<std::pair<std::string, std::string>> headers;  // values: printable ASCII
  std::string body;  // empty: none; a POST or PUT then says Content-Length: 0
};

// Receives the octets of a 200's body as they arrive, on the calling thread. A status that is not
// OK ends the transfer and becomes the call's status.
using HttpSink = std::function<absl::Status(std::string_view octets)>;

// Bounds of one call; crossing one is the call's error.
struct HttpLimits {
  double connect_seconds = 10;  // name look-up, TCP and TLS together
  double stall_seconds = 10;   // between two signs of life of a connected peer (a header line, body
                               // octets, upload going on)
  double total_seconds = 120;  // everything
  uint64_t max_body_octets =
      4 * 1024 * 1024;                   // of the body as decoded (gzip, deflate), sink or not
  size_t max_header_octets = 64 * 1024;  // all header lines of all responses (1xx too)
  size_t max_headers = 100;
};

// An answer, whatever its status: only transport failures are errors.
struct HttpResponse {
  int status = 0;  // 200..599
  // Names in lower case; of a repeated header the values joined with ", ". Values are octets as
  // received: untrusted.
  std::map<std::string, std::string, std::less<>> headers;
  std::string body;  // decoded; empty when a sink took it

  // Value of a header by its lower-case name; empty when there is none.
  std::string_view Header(std::string_view lower_case_name) const {
    auto it = headers.find(lower_case_name);
    return it == headers.end() ? std::string_view() : std::string_view(it->second);
  }
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_HTTP_HTTP_MESSAGE_H_
