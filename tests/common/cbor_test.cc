// SPDX-License-Identifier: AGPL-3.0-only
// The CBOR of receipts: examples of RFC 7049 appendix A in both directions, and one refusal for
// each rule of its section 3.9.
#include "common/receipt/cbor.h"

#include <gtest/gtest.h>

#include <random>

#include "common/base/encoding.h"

namespace auspex {
namespace {

std::string Hex(const CborValue& value) { return HexEncode(value.Encode()); }
absl::StatusOr<CborValue> Read(std::string_view hex) { return DecodeCbor(HexDecode(hex).value()); }

TEST(Cbor, WritesTheExamplesOfTheRfc) {
  EXPECT_EQ(Hex(CborValue::Integer(0)), "00");
  EXPECT_EQ(Hex(CborValue::Integer(23)), "17");
  EXPECT_EQ(Hex(CborValue::Integer(24)), "1818");
  EXPECT_EQ(Hex(CborValue::Integer(1000)), "1903e8");
  EXPECT_EQ(Hex(CborValue::Integer(1000000)), "1a000f4240");
  EXPECT_EQ(Hex(CborValue::Integer(1000000000000)), "1b000000e8d4a51000");
  EXPECT_EQ(Hex(CborValue::Integer(INT64_MAX)), "1b7fffffffffffffff");
  EXPECT_EQ(Hex(CborValue::Integer(-1)), "20");
  EXPECT_EQ(Hex(CborValue::Integer(-1000)), "3903e7");
  EXPECT_EQ(Hex(CborValue::Integer(INT64_MIN)), "3b7fffffffffffffff");
  EXPECT_EQ(Hex(CborValue::Bool(false)), "f4");
  EXPECT_EQ(Hex(CborValue::Bool(true)), "f5");
  EXPECT_EQ(Hex(CborValue()), "f6");
  EXPECT_EQ(Hex(CborValue::Bytes("")), "40");
  EXPECT_EQ(Hex(CborValue::Bytes("\x01\x02\x03\x04")), "4401020304");
  EXPECT_EQ(Hex(CborValue::Text("IETF")), "6449455446");
  EXPECT_EQ(Hex(CborValue::Text("\xe6\xb0\xb4")), "63e6b0b4");
  EXPECT_EQ(Hex(CborValue::Array({})), "80");
  EXPECT_EQ(Hex(CborValue::Map({})), "a0");
  EXPECT_EQ(Hex(CborValue::Tag(0, CborValue::Text("2013-03-21T20:04:00Z"))),
            "c074323031332d30332d32315432303a30343a30305a");
}

TEST(Cbor, SortsKeysByLengthAndThenByOctets) {
  EXPECT_EQ(Hex(CborValue::Map({{CborValue::Text("aa"), CborValue::Integer(1)},
                                {CborValue::Text("b"), CborValue::Integer(2)},
                                {CborValue::Integer(1000), CborValue::Integer(3)},
                                {CborValue::Integer(-1), CborValue::Integer(4)},
                                {CborValue::Integer(1), CborValue::Integer(5)},
                                {CborValue::Text("b"), CborValue::Integer(6)}})),
            "a5"
            "0105"
            "2004"
            "616202"
            "1903e803"
            "62616101");
}

TEST(Cbor, ReadsBackWhatItWrote) {
  const CborValue value = CborValue::Map(
      {{CborValue::Text("a"),
        CborValue::Array({CborValue::Integer(-500), CborValue::Bool(true), CborValue()})},
       {CborValue::Integer(4), CborValue::Bytes(std::string(300, '\xff'))},
       {CborValue::Text("t"), CborValue::Tag(70000, CborValue::Text("x"))}});
  const auto read = DecodeCbor(value.Encode());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->Encode(), value.Encode());
  EXPECT_EQ(read->member_count(), 3u);
  EXPECT_EQ(read->Find("a")->as_array()->at(0).as_integer(), -500);
  EXPECT_EQ(read->Find("a")->as_array()->at(1).as_bool(), true);
  EXPECT_TRUE(read->Find("a")->as_array()->at(2).is_null());
  EXPECT_EQ(read->Find(int64_t{4})->as_bytes()->size(), 300u);
  EXPECT_EQ(*read->Find("t")->as_tag(70000)->as_text(), "x");
  EXPECT_EQ(read->Find("t")->as_tag(0), nullptr);
  EXPECT_EQ(read->Find("zz"), nullptr);
  EXPECT_EQ(CborValue::Integer(1).Find("a"), nullptr);
}

TEST(Cbor, RefusesEveryOtherSpelling) {
  for (const char* hex : {"",
                          "18",
                          "1817",
                          "190018",
                          "1900ff",
                          "1a0000ffff",
                          "1b00000000ffffffff",
                          "3817",
                          "5800",
                          "781761",
                          "9800",
                          "b800",
                          "d800",
                          "1b8000000000000000",
                          "3b8000000000000000",  // beyond int64
                          "1c",
                          "1d",
                          "1e",
                          "1f",
                          "5f40ff",
                          "7f6161ff",
                          "9fff",
                          "bfff",
                          "ff",  // reserved and indefinite lengths
                          "f0",
                          "f7",
                          "f800",
                          "f820",
                          "f93c00",
                          "fa3f800000",
                          "fb3ff0000000000000",  // simple values and floats
                          "41",
                          "4401",
                          "61",
                          "62c3",
                          "61ff",
                          "63eda080",
                          "62c080",  // cut off, not UTF-8
                          "81",
                          "8201",
                          "a1",
                          "a101",
                          "c0",
                          "db0000000100000000f6",
                          "a2616201616102",
                          "a2616101616102",
                          "a26261610161620"
                          "2",
                          "a2200101"
                          "02",  // out of order, repeated
                          "0000",
                          "8000",
                          "a0f6"}) {
    const auto octets = HexDecode(hex);
    ASSERT_TRUE(octets.has_value()) << hex;
    EXPECT_EQ(DecodeCbor(*octets).status().code(), absl::StatusCode::kInvalidArgument) << hex;
  }
}

TEST(Cbor, LengthsThatPromiseMoreThanThereIsCostNothing) {
  for (const char* hex : {"5b7fffffffffffffff00", "7bffffffffffffffff00", "9bffffffffffffffff00",
                          "bbffffffffffffffff0000", "9a7fffffff00"}) {
    EXPECT_EQ(Read(hex).status().code(), absl::StatusCode::kInvalidArgument) << hex;
  }
}

TEST(Cbor, DepthAndItemsAreBounded) {
  EXPECT_TRUE(DecodeCbor(std::string(kMaxCborDepth, '\x81') + "\x01").ok());
  EXPECT_EQ(DecodeCbor(std::string(kMaxCborDepth + 1, '\x81') + "\x01").status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(DecodeCbor(std::string(1'000'000, '\xc1')).status().code(),
            absl::StatusCode::kResourceExhausted);
  std::vector<CborValue> items(kMaxCborItems - 1, CborValue::Integer(0));
  EXPECT_TRUE(DecodeCbor(CborValue::Array(items).Encode()).ok());
  items.emplace_back();
  EXPECT_EQ(DecodeCbor(CborValue::Array(items).Encode()).status().code(),
            absl::StatusCode::kResourceExhausted);
}

// Whatever is accepted is the one spelling of its value.
TEST(Cbor, AcceptedOctetsAreTheCanonicalOnes) {
  std::mt19937_64 random(7);
  size_t accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string octets;
    for (size_t count = 1 + random() % 10; count > 0; --count) {
      constexpr std::string_view kHeads(
          "\x00\x01\x18\x19\x20\x40\x41\x61\x62\x80\x81\x82\xa1\xa2\xc0\xf4\xf6"
          "a\xff",
          19);
      octets.push_back(random() % 4 == 0 ? static_cast<char>(random())
                                         : kHeads[random() % kHeads.size()]);
    }
    const auto value = DecodeCbor(octets);
    if (!value.ok()) continue;
    ++accepted;
    ASSERT_EQ(HexEncode(value->Encode()), HexEncode(octets));
  }
  EXPECT_GT(accepted, 1'000u);
}

}  // namespace
}  // namespace auspex
