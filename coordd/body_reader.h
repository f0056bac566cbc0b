// SPDX-License-Identifier: AGPL-3.0-only
// BodyReader: takes the members of a JSON request body one by one, each with its rule, and gathers
// what does not fit into the 422 list of coordinator section 1. Usage:
//
//   BodyReader in(context);
//   const auto kind = in.Text("kind", kRequired, 1, 64);
//   if (!in.ok()) return in.Refusal();
//   Use(*kind);                         // required members are set once ok()
//
// Borrows the context, which must outlive it. Not thread-safe.
#ifndef AUSPEX_COORDD_BODY_READER_H_
#define AUSPEX_COORDD_BODY_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/json/value.h"
#include "coordd/http_message.h"

namespace auspex::coordd {

enum Need { kRequired, kOptional };

class BodyReader {
 public:
  // `body` is null when the request had none; `json_content_type` tells whether Content-Type named
  // JSON.
  BodyReader(const JsonValue* body, bool json_content_type);

  // Text of `least` to `most` characters (code points). An optional member may be null.
  std::optional<std::string> Text(std::string_view name, Need need, size_t least, size_t most);
  // Text that the validated type `Id` accepts.
  template <typename Id>
  std::optional<Id> Parsed(std::string_view name, Need need) {
    std::optional<std::string> text = Text(name, need, 0, 1024);
    if (!text) return std::nullopt;
    auto id = Id::Parse(*text);
    if (!id.ok()) {
      Fail(name, "String should match the pattern of its kind", "string_pattern_mismatch");
      return std::nullopt;
    }
    return *std::move(id);
  }
  std::optional<int64_t> Integer(std::string_view name, Need need, int64_t least, int64_t most);
  std::optional<bool> Bool(std::string_view name, Need need);
  const JsonObject* Object(std::string_view name, Need need);
  const JsonArray* Array(std::string_view name, Need need);

  // Adds a problem of the member `name`.
  void Fail(std::string_view name, std::string_view message, std::string_view type);
  bool ok() const { return problems_.empty(); }
  // The 422; only when !ok().
  Reply Refusal() const { return ValidationRefusalOf(problems_); }

 private:
  static Reply ValidationRefusalOf(const JsonArray& problems);
  // The member, or nullptr (a problem is added when it is required).
  const JsonValue* Take(std::string_view name, Need need);

  const JsonObject* body_ = nullptr;
  JsonArray problems_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_BODY_READER_H_
