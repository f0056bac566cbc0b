// SPDX-License-Identifier: AGPL-3.0-only
// Request and Reply: one exchange, free of any transport, so that every rule of the coordinator can
// be tested without a socket. Plain data owned by whoever holds it.
#ifndef AUSPEX_COORDD_HTTP_MESSAGE_H_
#define AUSPEX_COORDD_HTTP_MESSAGE_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace auspex::coordd {

struct Request {
  std::string method;                                        // as sent
  std::string target;                                        // as sent: path and maybe a query
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, in order
  std::string body;
  std::string remote_address;  // without port; for rate limits only

  // The header's value with surrounding blanks trimmed; repeated headers joined with ", ". nullopt
  // when absent.
  std::optional<std::string> Header(std::string_view lower_case_name) const;
  // The target up to '?'.
  std::string_view path() const;
  // What follows '?', or "".
  std::string_view query() const;
};

struct Reply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  // A refusal (status 400 and up) undoes what its handler wrote unless this is set.
  bool keep_writes = false;
  // Set on a poll that found no work and asked to wait: the transport may hold the exchange for up
  // to `wait_seconds`, calling `again` whenever work may exist; a reply without `again` is final.
  // `this` reply is the answer when time runs out.
  int wait_seconds = 0;
  std::function<Reply()> again;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_HTTP_MESSAGE_H_
