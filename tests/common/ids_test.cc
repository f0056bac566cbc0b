// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ids/ids.h"

#include <gtest/gtest.h>

#include <string>

namespace auspex {
namespace {

template <typename Id>
bool Takes(std::string_view text) {
  const auto id = Id::Parse(text);
  EXPECT_TRUE(id.ok() || id.status().code() == absl::StatusCode::kInvalidArgument);
  return id.ok();
}

TEST(Ids, UnitIds) {
  EXPECT_TRUE(Takes<UnitId>("Unit_09-az"));
  EXPECT_TRUE(Takes<UnitId>(std::string(128, 'u')));
  for (const std::string& text :
       {std::string(), std::string(129, 'u'), std::string("a/b"), std::string("a.b"),
        std::string(".."), std::string("a b"), std::string("a\0b", 3), std::string("u\n"),
        std::string("caf\xc3\xa9"), std::string("a%2fb"), std::string("a?b")}) {
    EXPECT_FALSE(Takes<UnitId>(text)) << text;
  }
}

TEST(Ids, LabelsOfTenantsAndExperiments) {
  // What coordinators register, beyond the published schema's pattern.
  for (const char* text : {"lab", "ab", "a", "my_lab", "1ab", "Lab", "v1.2", "_x"}) {
    EXPECT_TRUE(Takes<TenantId>(text)) << text;
    EXPECT_TRUE(Takes<ExperimentLabel>(text)) << text;
  }
  EXPECT_TRUE(Takes<TenantId>("a" + std::string(127, '-')));
  EXPECT_FALSE(Takes<TenantId>("a" + std::string(128, '-')));
  EXPECT_FALSE(Takes<ExperimentLabel>("a" + std::string(128, '9')));
  for (const char* text :
       {"", "-ab", "--allow", ".", "..", ".lab", "a/b", "lab ", "a\nb", "a\xc3\xa4"}) {
    EXPECT_FALSE(Takes<TenantId>(text)) << text;
    EXPECT_FALSE(Takes<ExperimentLabel>(text)) << text;
  }
}

template <typename Id>
class SegmentIds : public ::testing::Test {};
using SegmentTypes =
    ::testing::Types<WorkerId, AssignmentId, ResultId, AccountId, ExperimentId, ReceiptId>;
TYPED_TEST_SUITE(SegmentIds, SegmentTypes);

// W6: an id with a slash, a query or a dot segment would address another resource.
TYPED_TEST(SegmentIds, AreOnePathSegmentOfUnreservedCharacters) {
  EXPECT_TRUE(Takes<TypeParam>("wkr-Zk3v_Q9-aB1x"));
  EXPECT_TRUE(Takes<TypeParam>("a.b~c"));
  EXPECT_TRUE(Takes<TypeParam>("..."));
  EXPECT_TRUE(Takes<TypeParam>(std::string(128, 'x')));
  for (const char* text : {"", ".", "..", "a/b", "/", "a?b", "a#b", "a%2fb", "a b", "a\\b", "a;b",
                           "a:b", "a@b", "a\nb", "\xc3\xa9"}) {
    EXPECT_FALSE(Takes<TypeParam>(text)) << text;
  }
  EXPECT_FALSE(Takes<TypeParam>(std::string(129, 'x')));
  EXPECT_FALSE(Takes<TypeParam>(std::string_view("a\0b", 3)));
}

TEST(Ids, HexIsLowerCased) {
  EXPECT_EQ(Sha256Hex::Parse(std::string(64, 'A'))->str(), std::string(64, 'a'));
  EXPECT_EQ(PublicKeyHex::Parse(std::string(64, 'F'))->str(), std::string(64, 'f'));
  EXPECT_EQ(Sha256Hex::Parse(std::string(64, 'A')).value(),
            Sha256Hex::Parse(std::string(64, 'a')).value());
  EXPECT_FALSE(Takes<Sha256Hex>(std::string(63, 'a')));
  EXPECT_FALSE(Takes<Sha256Hex>(std::string(65, 'a')));
  EXPECT_FALSE(Takes<Sha256Hex>(std::string(63, 'a') + "g"));
  EXPECT_FALSE(Takes<PublicKeyHex>(""));
}

TEST(Ids, ModelIdsAreSafeFileNames) {
  EXPECT_TRUE(Takes<ModelId>("gemma-3-1b.Q4_K_M.gguf"));
  EXPECT_TRUE(Takes<ModelId>(std::string(200, 'm')));
  for (const char* text : {"", ".", "..", ".hidden", "a/b", "a b", "a~b", "a\\b"})
    EXPECT_FALSE(Takes<ModelId>(text)) << text;
  EXPECT_FALSE(Takes<ModelId>(std::string(201, 'm')));
}

TEST(Ids, MessagesShowTheTextMadePrintable) {
  const auto status = UnitId::Parse("a\x1b[31m/").status();
  EXPECT_EQ(status.message(), "unit id: has a character that is not allowed: 'a\\x1b[31m/'");
}

TEST(Printable, EscapesAndCuts) {
  EXPECT_EQ(Printable("plain ~ text"), "plain ~ text");
  EXPECT_EQ(Printable(std::string_view("\0\n\x7f\xff\\", 5)), "\\x00\\x0a\\x7f\\xff\\x5c");
  EXPECT_EQ(Printable(std::string(100, 'x'), 10), std::string(10, 'x') + "...");
  EXPECT_EQ(Printable(std::string(10, 'x'), 10), std::string(10, 'x'));
  EXPECT_LT(Printable(std::string(1'000'000, '\xff')).size(), 100u);
}

}  // namespace
}  // namespace auspex
