// SPDX-License-Identifier: AGPL-3.0-only
// What an executor wrote, read strictly: each way of being wrong has a reason of its own, and what
// is accepted is the canonical form that keyd signs.
#include "runnerd/executor_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/cat.h"
#include "common/json/canonical.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_literals;

std::string Read(const std::string& text, bool capture_raw = false) {
  const absl::StatusOr<UnitResult> result =
      ParseExecutorOutput(text, *UnitId::Parse("u"), capture_raw, 0);
  return result.ok() ? Cat("ok ", result->canonical_payload)
                     : std::string(result.status().message());
}

std::string Payload(const std::string& value) { return Cat("{\"payload\":{\"x\":", value, "}}"); }

TEST(ExecutorOutput, EachHostileKindHasItsReason) {
  const std::string deep = std::string(127, '[') + std::string(127, ']');
  std::string many = "[";
  for (int i = 0; i < 1'000'001; ++i) many += "1,";
  const std::vector<std::pair<std::string, const char*>> cases = {
      {"", "json: "},
      {" ", "json: "},
      {"null", "is no JSON object"},
      {"\"text\"", "is no JSON object"},
      {"{\"payload\":{}}{}", "json: "},
      {"{\"payload\":{}} x", "json: "},
      {"{'payload':{}}", "json: "},
      {"{\"payload\":{},}", "json: "},
      {"{\"payload\":{} /* c */}", "json: "},
      {"\xef\xbb\xbf{\"payload\":{}}", "byte order mark"},
      {"{\"payload\":{}}\0"s, "json: "},
      {Payload("NaN"), "finite"},
      {Payload("Infinity"), "finite"},
      {Payload("-Infinity"), "finite"},
      {Payload("1e400"), "finite"},
      {Payload("-1e400"), "finite"},
      {Payload(std::string(4301, '9')), "4300 digits"},
      {Payload("01"), "json: "},
      {Payload("+1"), "json: "},
      {Payload("0x10"), "json: "},
      {Payload(".5"), "json: "},
      {Payload("tru"), "json: "},
      {Payload(deep), "levels of nesting"},
      {Payload(many + "1]"), "values"},
      {Payload("\"\xff\""), "UTF-8"},
      {Payload("\"\xed\xa0\x80\""), "UTF-8"},
      {Payload("\"\xc0\x80\""), "UTF-8"},
      {Payload("\"a\nb\""), "control character"},
      {Payload("\"\\q\""), "escape"},
      {"{\"payload\":{\"a\":1,\"a\":2}}", "name"},
      {"{\"payload\":{\"\\u0061\":1,\"a\":2}}", "name"},
      {"{\"payload\":{},\"payload\":{\"b\":1}}", "name"},
      {Payload(Cat("\"", std::string(2'200'000, 'x'), "\"")), "octets"},
      {"{\"payload\":null}", "payload is no object"},
      {"{\"payload\":\"{}\"}", "payload is no object"},
      {"{\"payload\":{},\"exit_code\":true}", "exit_code is no integer"},
      {"{\"payload\":{},\"exit_code\":null}", "exit_code is no integer"},
      {"{\"payload\":{},\"exit_code\":0.0}", "exit_code is no integer"},
      {"{\"payload\":{},\"exit_code\":-256}", "exit_code is no integer"},
      {"{\"payload\":{},\"exit_code\":99999999999999999999}", "exit_code is no integer"},
      {"{\"payload\":{},\"completed_at\":0}", "completed_at is no ISO 8601"},
      {"{\"payload\":{},\"completed_at\":\"2026-13-01T00:00:00Z\"}", "completed_at is no ISO 8601"},
      {"{\"payload\":{},\"unit_id\":7}", "unit_id is not the unit's"},
  };
  for (const auto& [text, why] : cases) {
    const std::string said = Read(text);
    EXPECT_THAT(said, StartsWith("executor output: ")) << text.substr(0, 80);
    EXPECT_THAT(said, HasSubstr(why)) << text.substr(0, 80);
    EXPECT_LT(said.size(), 300u);
    for (char c : said) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << said;
  }
}

TEST(ExecutorOutput, WhatTheWireAllowsIsKeptAndCanonical) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"payload\":{}}", "ok {}"},
      {" {\"payload\" : { \"b\":1 , \"a\":1.0 } }\n", "ok {\"a\":1.0,\"b\":1}"},
      {Payload("-0"), "ok {\"x\":0}"},
      {Payload("1e-400"), "ok {\"x\":0.0}"},
      {Payload("12345678901234567890123"), "ok {\"x\":12345678901234567890123}"},
      // An unpaired surrogate is a character of the wire's strings.
      {Payload("\"\\ud800\""), "ok {\"x\":\"\\ud800\"}"},
      {Payload("\"\xc3\xa9\""), "ok {\"x\":\"\\u00e9\"}"},
      {Payload(std::string(126, '[') + std::string(126, ']')),
       Cat("ok {\"x\":", std::string(126, '['), std::string(126, ']'), "}")},
  };
  for (const auto& [text, canonical] : cases) {
    const std::string said = Read(text);
    EXPECT_EQ(said, canonical);
    EXPECT_TRUE(CheckCanonicalObject(std::string_view(said).substr(3)).ok()) << said;
  }
}

TEST(ExecutorOutput, RawTextMustHaveAUtf8Form) {
  EXPECT_THAT(Read("{\"payload\":{\"raw_response\":\"\\ud800\"}}", true),
              HasSubstr("payload.raw_response has an unpaired surrogate"));
  EXPECT_EQ(Read("{\"payload\":{\"raw_response\":\"\\ud83d\\ude00\"}}", true), "ok {}");
  // Escaped to ASCII it is three times as long.
  std::string long_text;
  for (int i = 0; i < 400 * 1024; ++i) long_text += "\xd0\x96";
  EXPECT_THAT(Read("{\"payload\":{\"raw_response\":\"" + long_text + "\"}}", true),
              HasSubstr("payload.raw_response is larger, with the rest, than"));
}

TEST(ExecutorOutput, LimitsOfThePayload) {
  const UnitId unit = *UnitId::Parse("u");
  EXPECT_TRUE(ParseExecutorOutput("{\"payload\":{}}", unit, false, 0).ok());
  EXPECT_EQ(ParseExecutorOutput("{\"payload\":{}}", unit, false, 0)->completed_at,
            "1970-01-01T00:00:00+00:00");
  // One octet of text can become six in canonical form.
  std::string text = "{\"payload\":{\"x\":\"";
  for (int i = 0; i < 600'000; ++i) text += "\xc3\xa9";
  EXPECT_FALSE(ParseExecutorOutput(text + "\"}}", unit, false, 0).ok());
  EXPECT_FALSE(
      ParseExecutorOutput("{\"payload\":{\"raw_response\":\"\\ud800\"}}", unit, true, 0).ok());
  // None: a submission has no signature over nothing.
  EXPECT_FALSE(ParseExecutorOutput("{\"payload\":{\"raw_response\":\"\"}}", unit, true, 0)
                   ->raw_response.has_value());
  EXPECT_EQ(
      ParseExecutorOutput("{\"payload\":{\"raw_response\":7}}", unit, true, 0)->canonical_payload,
      "{}");
  EXPECT_FALSE(ParseExecutorOutput("{\"payload\":{\"a\":1,\"a\":1.0}}", unit, false, 0).ok());
}

}  // namespace
}  // namespace auspex::runnerd
