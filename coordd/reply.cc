// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/reply.h"

#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/json/canonical.h"

namespace auspex::coordd {

Reply Ok(JsonValue body, int status) { return OkText(WriteCanonical(body), status); }

Reply OkText(std::string json, int status) {
  Reply reply;
  reply.status = status;
  reply.body = std::move(json);
  return reply;
}

Reply Error(int status, std::string_view code, std::string_view message, JsonObject details) {
  JsonObject error{{"code", code}, {"message", message}};
  if (status == 401 || !details.empty()) error.emplace("details", std::move(details));
  return Ok(JsonObject{{"detail", JsonObject{{"error", std::move(error)}}}}, status);
}

Reply ErrorKeepingWrites(int status, std::string_view code, std::string_view message,
                         JsonObject details) {
  Reply reply = Error(status, code, message, std::move(details));
  reply.keep_writes = true;
  return reply;
}

Reply PlainDetail(int status, std::string_view text) {
  return Ok(JsonObject{{"detail", text}}, status);
}

Reply ValidationRefusal(JsonArray problems) {
  return Ok(JsonObject{{"detail", std::move(problems)}}, 422);
}

JsonValue ValidationProblem(std::string_view member, std::string_view message,
                            std::string_view type) {
  JsonArray loc{JsonValue("body")};
  if (!member.empty()) loc.emplace_back(member);
  return JsonObject{{"loc", std::move(loc)}, {"msg", message}, {"type", type}};
}

Reply TooLarge(size_t max_octets) {
  return Ok(JsonObject{{"error", "payload_too_large"}, {"max_bytes", max_octets}}, 413);
}

Reply RateLimited(std::string_view rule) {
  return Ok(JsonObject{{"error", Cat("Rate limit exceeded: ", rule)}}, 429);
}

Reply InternalError() {
  Reply reply;
  reply.status = 500;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = "Internal Server Error";
  return reply;
}

std::string ZuluTime(int64_t unix_micros) {
  std::string text = FormatWireTime(unix_micros);
  text.resize(text.size() - 6);  // "+00:00"
  return text + "Z";
}

std::string DetailTime(int64_t unix_micros) { return FormatWireTime(unix_micros); }

}  // namespace auspex::coordd
