// SPDX-License-Identifier: AGPL-3.0-only
// docs/SIGNING.md shows the octets of every intent and the rates in force. Both are held against what
// keyd composes and what it allows, so that the page cannot fall behind.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "common/crypto/sha256.h"
#include "common/journal/note.h"
#include "keyd/rates.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

constexpr const char* kKey = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
constexpr const char* kHash = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

std::string Page() {
  const char* root = std::getenv("AUSPEX_SOURCE_DIR");
  std::ifstream in(std::string(root == nullptr ? "." : root) + "/docs/SIGNING.md");
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_GT(text.str().size(), 1000u) << "docs/SIGNING.md is missing";
  return text.str();
}

// The text of each example by its heading, "#### `poll` (5.3)" as "poll", "#### `sign_result`,
// version 1" as "sign_result 1".
std::map<std::string, std::string> Examples() {
  const std::string page = Page();
  const std::regex pattern(
      "\n#### `([a-z_]+)`(?: \\([0-9.]+\\)|, version ([0-9]))?\n\n```[a-z]+\n([^`]+)\n```");
  std::map<std::string, std::string> found;
  for (std::sregex_iterator at(page.begin(), page.end(), pattern), end; at != end; ++at) {
    const std::string version = (*at)[2].str();
    found[(*at)[1].str() + (version.empty() ? "" : " " + version)] = (*at)[3].str();
  }
  return found;
}

TEST(SigningPage, ExamplesAreWhatKeydComposes) {
  std::map<std::string, std::string> examples = Examples();
  const auto take = [&](const std::string& name) {
    const std::string text = examples[name];
    examples.erase(name);
    return text;
  };
  const Enrolment enrolment =
      *Enrolment::Parse("https://coord.auspexai.network", "wkr-Zk3v_Q9-aB1x");
  UntrustedRequest request;
  request.unit_id = "u-0001";
  request.assignment_id = "asg-q1W2e3R4t5Y6";
  request.result_id = "res-a1B2c3D4e5F6";
  request.account_id = "acct-Zz9Yy8Xx7Ww6";
  request.manifest_sha256 = kHash;
  request.body_sha256 = Sha256("{}");
  for (uint8_t number = 1; number < static_cast<uint8_t>(Intent::kNone); ++number) {
    request.intent = *IntentOf(number);
    const auto composed = ComposeRequest(request, enrolment, kKey, 1716000037);
    ASSERT_TRUE(composed.ok()) << composed.status();
    EXPECT_EQ(take(std::string(IntentWord(request.intent))), composed->base);
  }
  UntrustedResult result;
  result.unit_id = "u-0001";
  result.assignment_id = "asg-q1W2e3R4t5Y6";
  result.completed_at = "2026-07-19T23:21:50.000123+00:00";
  result.canonical_payload = R"({"n":1,"ratio":0.5,"t":"caf\u00e9"})";
  result.served_weights = {{"qwen-0.5b", kHash}};
  result.ran_under = "strict";
  for (uint32_t version = 0; version <= 2; ++version) {
    result.schema_version = version;
    const auto composed = ComposeResult(result, kKey);
    ASSERT_TRUE(composed.ok()) << composed.status();
    EXPECT_EQ(take("sign_result " + std::to_string(version)), composed->octets);
  }
  const auto raw = ComposeRawText({"u-0001", "asg-q1W2e3R4t5Y6", Sha256("text")}, kKey);
  ASSERT_TRUE(raw.ok()) << raw.status();
  EXPECT_EQ(take("sign_raw_text"), raw->octets);
  const Checkpoint checkpoint{"auspex.journal/0f1e2d3c4b5a69788796a5b4c3d2e1f0", 1234,
                              ToDigest(Sha256("root"))};
  EXPECT_EQ(take("sign_checkpoint") + "\n", NoteText(checkpoint));
  EXPECT_TRUE(examples.empty()) << "an example of no intent: " << examples.begin()->first;
}

TEST(SigningPage, RatesAreThoseInForce) {
  FakeClock clock;
  const Rates rates(clock);
  const std::string page = Page();
  const std::regex pattern("\n\\| `([a-z_]+)` \\| ([0-9.]+) \\| ([0-9]+) \\|");
  std::map<std::string, std::pair<double, int64_t>> rows;
  for (std::sregex_iterator at(page.begin(), page.end(), pattern), end; at != end; ++at) {
    rows[(*at)[1].str()] = {std::stod((*at)[2].str()), std::stoll((*at)[3].str())};
  }
  for (int number = 0; number < 256; ++number) {
    const auto intent = IntentOf(static_cast<uint8_t>(number));
    if (!intent || rates.Of(*intent).burst == 0) continue;
    const std::string word(IntentWord(*intent));
    ASSERT_TRUE(rows.contains(word)) << word;
    EXPECT_EQ(rows[word].first, rates.Of(*intent).per_second) << word;
    EXPECT_EQ(rows[word].second, rates.Of(*intent).burst) << word;
    rows.erase(word);
  }
  EXPECT_TRUE(rows.empty()) << rows.begin()->first;
}

}  // namespace
}  // namespace auspex::keyd
