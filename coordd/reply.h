// SPDX-License-Identifier: AGPL-3.0-only
// The body shapes of coordinator section 1: success objects and the five shapes of refusals. Pure
// functions, any thread.
#ifndef AUSPEX_COORDD_REPLY_H_
#define AUSPEX_COORDD_REPLY_H_

#include <string>
#include <string_view>

#include "common/json/value.h"
#include "coordd/http_message.h"

namespace auspex::coordd {

// Success with a JSON body.
Reply Ok(JsonValue body, int status = 200);
// Success with a body that already is JSON text.
Reply OkText(std::string json, int status = 200);
// {"detail":{"error":{code,message,details}}}; `details` is left out when empty, except on 401.
Reply Error(int status, std::string_view code, std::string_view message, JsonObject details = {});
// The same, but what the handler wrote stays (a refused result burns its assignment, 8.1).
Reply ErrorKeepingWrites(int status, std::string_view code, std::string_view message,
                         JsonObject details = {});
// {"detail":"text"}.
Reply PlainDetail(int status, std::string_view text);
// 422 {"detail":[{loc,msg,type}...]}; `problems` holds the elements.
Reply ValidationRefusal(JsonArray problems);
// One element of the list above. `member` may be empty: the body as a whole.
JsonValue ValidationProblem(std::string_view member, std::string_view message,
                            std::string_view type);
// 413 {"error":"payload_too_large","max_bytes":N}.
Reply TooLarge(size_t max_octets);
// 429 {"error":"Rate limit exceeded: ..."}.
Reply RateLimited(std::string_view rule);
// 500 in plain text.
Reply InternalError();

// Unix microseconds as success bodies print them: UTC with Z, six fraction digits or none.
std::string ZuluTime(int64_t unix_micros);
// As error details print them: with +00:00.
std::string DetailTime(int64_t unix_micros);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_REPLY_H_
