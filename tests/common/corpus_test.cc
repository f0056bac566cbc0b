// SPDX-License-Identifier: AGPL-3.0-only
// Public corpora, read from AUSPEX_CORPUS_DIR and never committed: RFC 9421 B.2.6, Wycheproof's
// Ed25519 verification vectors, and the cases of RFC 8785 (whose canonical form is not ours, so
// that only what coincides is compared).
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/wire/http_signature.h"
#include "tests/common/test_data.h"
#include "tests/support/skip.h"

namespace auspex {
namespace {

using testing::IntegerOf;
using testing::MemberOf;
using testing::ReadFileOrFail;
using testing::StringOf;

#define NEEDS_CORPUS()                                            \
  AUSPEX_SKIP_UNLESS(std::getenv("AUSPEX_CORPUS_DIR") != nullptr, \
                     "AUSPEX_CORPUS_DIR, a folder with public test corpora")

std::string Corpus(std::string_view name) {
  return Cat(std::getenv("AUSPEX_CORPUS_DIR"), "/", name);
}

TEST(Corpus, WycheproofEd25519) {
  NEEDS_CORPUS();
  const auto root = ReadJson(ReadFileOrFail(Corpus("wycheproof_ed25519_test.json")));
  ASSERT_TRUE(root.ok()) << root.status();
  int64_t seen = 0, valid = 0;
  for (const JsonValue& group : *MemberOf(*root, "testGroups").as_array()) {
    const auto key = HexDecode(StringOf(MemberOf(group, "publicKey"), "pk"));
    ASSERT_TRUE(key.has_value());
    for (const JsonValue& test : *MemberOf(group, "tests").as_array()) {
      const bool expected = StringOf(test, "result") == "valid";
      EXPECT_EQ(
          Ed25519Verify(*key, *HexDecode(StringOf(test, "msg")), *HexDecode(StringOf(test, "sig"))),
          expected)
          << "tcId " << IntegerOf(test, "tcId") << " " << StringOf(test, "comment");
      ++seen;
      if (expected) ++valid;
    }
  }
  EXPECT_EQ(seen, IntegerOf(*root, "numberOfTests"));
  EXPECT_GT(valid, 0);
  EXPECT_LT(valid, seen);
}

// Our profile covers other components, so that the base as a whole differs; its lines and the
// signature must not.
TEST(Corpus, Rfc9421AppendixB26) {
  NEEDS_CORPUS();
  const auto root = ReadJson(ReadFileOrFail(Corpus("rfc9421_b26.json")));
  ASSERT_TRUE(root.ok()) << root.status();
  const JsonValue& key = MemberOf(*root, "key");
  const std::string base = StringOf(*root, "signature_base");
  EXPECT_EQ(Sha256HexOf(base), StringOf(*root, "signature_base_sha256"));
  EXPECT_TRUE(Ed25519Verify(*HexDecode(StringOf(key, "public_key_hex")), base,
                            *Base64Decode(StringOf(*root, "signature_base64"))));
  EXPECT_EQ(Base64Encode(testing::SignWithSeed(StringOf(key, "private_seed_hex"), base)),
            StringOf(*root, "signature_base64"));
  const JsonValue& request = MemberOf(*root, "request");
  const std::string ours = SignatureBase({.method = StringOf(request, "method"),
                                          .path = StringOf(request, "path"),
                                          .authority = StringOf(request, "authority"),
                                          .content_digest = std::nullopt,
                                          .created = IntegerOf(*root, "created"),
                                          .keyid = StringOf(key, "public_key_hex")});
  size_t compared = 0;
  std::istringstream lines(base);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("\"@method\"") && !line.starts_with("\"@path\"") &&
        !line.starts_with("\"@authority\""))
      continue;
    EXPECT_NE(ours.find(line + "\n"), std::string::npos) << line;
    ++compared;
  }
  EXPECT_EQ(compared, 3u);
}

// A decimal number as its digits and the power of ten of the first: the same for every spelling of
// it.
struct Decimal {
  bool negative = false;
  std::string digits;
  int exponent = 0;
  bool operator==(const Decimal&) const = default;
};

Decimal Normalise(std::string_view text) {
  Decimal out;
  if (text.starts_with('-')) {
    out.negative = true;
    text.remove_prefix(1);
  }
  const size_t e = text.find('e');
  if (e != std::string_view::npos) {
    const std::string_view power = text.substr(e + (text[e + 1] == '+' ? 2 : 1));
    std::from_chars(power.data(), power.data() + power.size(), out.exponent);
    text = text.substr(0, e);
  }
  const size_t point = std::min(text.find('.'), text.size());
  out.exponent += static_cast<int>(point) - 1;
  for (const char c : text) {
    if (c != '.') out.digits.push_back(c);
  }
  while (out.digits.size() > 1 && out.digits.front() == '0') {
    out.digits.erase(0, 1);
    --out.exponent;
  }
  while (out.digits.size() > 1 && out.digits.back() == '0') out.digits.pop_back();
  if (out.digits == "0") out.exponent = 0;
  return out;
}

TEST(Corpus, JcsNumbersHaveOurDigits) {
  NEEDS_CORPUS();
  std::istringstream lines(ReadFileOrFail(Corpus("jcs/es6_numbers_1000.txt")));
  size_t seen = 0, same_spelling = 0;
  for (std::string line; std::getline(lines, line); ++seen) {
    const size_t comma = line.find(',');
    ASSERT_NE(comma, std::string::npos) << line;
    uint64_t bits = 0;
    std::from_chars(line.data(), line.data() + comma, bits, 16);
    const double value = std::bit_cast<double>(bits);
    const std::string theirs = line.substr(comma + 1);
    const std::string ours = CanonicalFloat(value);
    Decimal expected = Normalise(theirs);
    expected.negative = std::signbit(value);  // they drop the sign of zero
    EXPECT_EQ(Normalise(ours).digits, expected.digits) << line << " as " << ours;
    EXPECT_EQ(Normalise(ours), expected) << line << " as " << ours;
    if (ours == theirs) ++same_spelling;
    // Their spelling reads as the same value: as a float when it has a point or exponent, else as
    // an integer.
    const auto read = ReadJson(theirs);
    ASSERT_TRUE(read.ok()) << line;
    EXPECT_EQ(read->AsNumber(), value) << line;
  }
  EXPECT_EQ(seen, 1000u);
  EXPECT_GT(same_spelling, 0u);
}

TEST(Corpus, JcsTextsAreReadAndOurFormIsAFixedPoint) {
  NEEDS_CORPUS();
  size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Corpus("jcs/input"))) {
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    const auto input = ReadJson(ReadFileOrFail(entry.path().string()));
    ASSERT_TRUE(input.ok()) << input.status();
    const std::string ours = WriteCanonical(*input);
    EXPECT_EQ(WriteCanonical(ReadJson(ours).value()), ours);
    if (input->as_object() != nullptr) {
      EXPECT_TRUE(CheckCanonicalObject(ours).ok()) << ours;
    }
    const auto output = ReadJson(ReadFileOrFail(Corpus(Cat("jcs/output/", name))));
    ASSERT_TRUE(output.ok()) << output.status();
    // Theirs spells 56.0 as 56, which is another kind here; all else must be the same document.
    if (name != "structures.json" && name != "values.json") {
      EXPECT_EQ(WriteCanonical(*output), ours);
    }
    ++seen;
  }
  EXPECT_GE(seen, 6u);
}

}  // namespace
}  // namespace auspex
