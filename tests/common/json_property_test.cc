// SPDX-License-Identifier: AGPL-3.0-only
// Properties that tie reader, writer and scanner together, over random values and over every
// one-character change of their texts. The seed is fixed, so that a failure repeats.
#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <string>

#include "common/json/canonical.h"
#include "common/json/escape.h"
#include "common/json/reader.h"

namespace auspex {
namespace {

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  size_t Below(size_t bound) { return random_() % bound; }

  JsonValue Object(size_t depth) {
    JsonObject members;
    for (size_t count = Below(5); count > 0; --count) members[Text()] = Value(depth);
    return JsonValue(std::move(members));
  }

 private:
  JsonValue Value(size_t depth) {
    switch (Below(depth == 0 ? 6 : 9)) {
      case 0:
        return JsonValue();
      case 1:
        return JsonValue(Below(2) == 0);
      case 2:
        return JsonValue(static_cast<int64_t>(random_()) >> Below(64));
      case 3:
        return JsonValue(BigInteger());
      case 4:
        return JsonValue(Float());
      case 5:
      case 6:
        return JsonValue(Text());
      case 7:
        return Object(depth - 1);
      default: {
        JsonArray elements;
        for (size_t count = Below(5); count > 0; --count) elements.push_back(Value(depth - 1));
        return JsonValue(std::move(elements));
      }
    }
  }

  JsonInteger BigInteger() {
    std::string digits(1, static_cast<char>('1' + Below(9)));
    for (size_t count = Below(60); count > 0; --count)
      digits.push_back(static_cast<char>('0' + Below(10)));
    return {Below(2) == 0 ? digits : "-" + digits};
  }

  double Float() {
    switch (Below(4)) {
      case 0:
        return std::bit_cast<double>(random_());
      case 1:
        return static_cast<double>(Below(1000)) / 8;
      case 2:
        return -static_cast<double>(random_());
      default:
        return static_cast<double>(Below(100)) * 1e-7;
    }
  }

  std::string Text() {
    std::string out;
    uint32_t before = 0;
    for (size_t count = Below(6); count > 0; --count) {
      uint32_t c = 0;
      switch (Below(6)) {
        case 0:
          c = static_cast<uint32_t>(Below(0x30));
          break;
        case 1:
          c = static_cast<uint32_t>(Below(0x900));
          break;
        case 2:
          c = static_cast<uint32_t>(0xd7f0 + Below(0x820));  // around and inside the surrogates
          break;
        case 3:
          c = static_cast<uint32_t>(0xfff0 + Below(0x20));
          break;
        case 4:
          c = static_cast<uint32_t>(Below(0x110000));
          break;
        default:
          c = static_cast<uint32_t>(0x20 + Below(0x60));
      }
      // Two halves side by side are one character: such text does not exist in a JsonValue.
      if (json_internal::IsHighSurrogate(before) && json_internal::IsLowSurrogate(c)) continue;
      json_internal::AppendCodePoint(out, c);
      before = c;
    }
    return out;
  }

  std::mt19937_64 random_;
};

// What the scanner must agree with: the text is an object that prints as itself.
bool IsCanonicalByRereading(std::string_view text) {
  const auto value = ReadJson(text);
  return value.ok() && value->as_object() != nullptr && WriteCanonical(*value) == text;
}

TEST(JsonProperty, WrittenTextReadsBackAndIsCanonical) {
  Generator generator(1);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = WriteCanonical(generator.Object(4));
    const auto value = ReadJson(text, JsonLimits{.allow_duplicate_names = false});
    ASSERT_TRUE(value.ok()) << text << ": " << value.status();
    ASSERT_EQ(WriteCanonical(*value), text);
    ASSERT_TRUE(CheckCanonicalObject(text).ok()) << text << ": " << CheckCanonicalObject(text);
  }
}

TEST(JsonProperty, ScannerAgreesWithRereadingOnEveryOneCharacterChange) {
  constexpr std::string_view kReplacements = "\"\\/{}[]:, 0159-+.eEaufbn\x7f\xc3\n";
  Generator generator(2);
  size_t changed = 0, still_canonical = 0;
  for (int i = 0; i < 300; ++i) {
    const std::string text = WriteCanonical(generator.Object(3));
    const auto check = [&](const std::string& mutant) {
      if (mutant == text) return;
      ++changed;
      const bool canonical = IsCanonicalByRereading(mutant);
      if (canonical) ++still_canonical;
      ASSERT_EQ(CheckCanonicalObject(mutant).ok(), canonical) << mutant << "\nfrom " << text;
    };
    for (size_t at = 0; at < text.size(); ++at) {
      std::string mutant = text;
      mutant.erase(at, 1);
      check(mutant);
      for (const char c : kReplacements) {
        mutant = text;
        mutant[at] = c;
        check(mutant);
      }
      mutant = text;
      mutant.insert(at, 1, kReplacements[generator.Below(kReplacements.size())]);
      check(mutant);
      if (at > 0) {
        mutant = text;
        std::swap(mutant[at - 1], mutant[at]);
        check(mutant);
      }
      check(text.substr(0, at));
      if (HasFatalFailure()) return;
    }
  }
  // Both answers must have been asked for often, or the comparison proves little.
  EXPECT_GT(changed, 100'000u);
  EXPECT_GT(still_canonical, 5'000u);
  EXPECT_LT(still_canonical, changed / 2);
}

TEST(JsonProperty, ReaderSurvivesRandomOctets) {
  std::mt19937_64 random(3);
  constexpr std::string_view kAlphabet = "{}[]\":,\\u0d8e1.-+tfnaN I\xed\xa0\x80\xf0\x9f";
  for (int i = 0; i < 100'000; ++i) {
    std::string text;
    for (size_t count = random() % 24; count > 0; --count)
      text.push_back(kAlphabet[random() % kAlphabet.size()]);
    const auto value = ReadJson(text);
    if (value.ok()) {
      const std::string canonical = WriteCanonical(*value);
      const auto again = ReadJson(canonical);
      ASSERT_TRUE(again.ok()) << text;
      ASSERT_EQ(WriteCanonical(*again), canonical) << text;
    }
    ASSERT_EQ(CheckCanonicalObject(text).ok(), IsCanonicalByRereading(text)) << text;
  }
}

}  // namespace
}  // namespace auspex
