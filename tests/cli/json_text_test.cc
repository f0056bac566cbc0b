// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/output/json_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace auspex::cli {
namespace {

TEST(IndentedJsonTest, SortsAndIndents) {
  const JsonValue value =
      JsonObject{{"b", JsonArray{1, 2.5, "x"}}, {"a", JsonObject{{"n", JsonValue()}}}};
  EXPECT_EQ(
      IndentedJson(value),
      "{\n  \"a\": {\n    \"n\": null\n  },\n  \"b\": [\n    1,\n    2.5,\n    \"x\"\n  ]\n}");
}

TEST(IndentedJsonTest, EmptyContainersStayOnTheirLine) {
  EXPECT_EQ(IndentedJson(JsonObject{{"a", JsonArray{}}, {"o", JsonObject{}}}),
            "{\n  \"a\": [],\n  \"o\": {}\n}");
}

TEST(IndentedJsonTest, NothingMovesATerminal) {
  const std::string text = IndentedJson(JsonObject{{"k\x1b[2J", "v\x7f\n\xc2\x9b"}});
  for (char c : text) EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~')) << static_cast<int>(c);
}

TEST(IndentedJsonTest, WhatJsonCannotSpellIsNull) {
  EXPECT_EQ(IndentedJson(JsonArray{std::numeric_limits<double>::infinity()}), "[\n  null\n]");
}

}  // namespace
}  // namespace auspex::cli
