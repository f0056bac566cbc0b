// SPDX-License-Identifier: AGPL-3.0-only
// Results against the example of coordinator section 15; vectors_test has the files.
#include "common/wire/result.h"

#include <gtest/gtest.h>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/wire/http_signature.h"
#include "tests/common/test_data.h"

namespace auspex {
namespace {

constexpr char kSeed[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
constexpr char kPublicKey[] = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

ResultFields Example() {
  // As an executor might have written it: another order, other spellings.
  const auto payload = ReadJson(
      "{ \"\\u00e9\" : \"\\u2028\\uD83D\\uDE00\\u007F\\/\\\"\\\\\\n\", "
      "\"z\":[1,2.0,1e16,0.0000001,-0.0,true,null],"
      " \"A\":12345678901234567890 }");
  EXPECT_TRUE(payload.ok()) << payload.status();
  return {.unit_id = "u-1",
          .worker_pubkey = kPublicKey,
          .completed_at = "2026-07-19T12:00:00.250000+00:00",
          .exit_code = 0,
          .canonical_payload = WriteCanonical(*payload),
          .schema_version = 2,
          .served_weights = {{"m-q4",
                              "ABababababababababababababababababababababababababababababababab"}},
          .ran_under = "Strict"};
}

TEST(Result, ExampleOfTheCoordinatorsSpecification) {
  const auto canonical = CanonicalResult(Example());
  ASSERT_TRUE(canonical.ok());
  EXPECT_EQ(
      *canonical,
      R"({"completed_at":"2026-07-19T12:00:00.250000+00:00","exit_code":0,"payload":{"A":12345678901234567890,)"
      R"("z":[1,2.0,1e+16,1e-07,-0.0,true,null],"\u00e9":"\u2028\ud83d\ude00\u007f/\"\\\n"},"ran_under":"strict",)"
      R"("schema_version":2,"served_weights":{"m-q4":"abababababababababababababababababababababababababababababababab"},)"
      R"("unit_id":"u-1","worker_pubkey":"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"})");
  EXPECT_EQ(Sha256HexOf(*canonical),
            "3cab13eb7b5edb4e3acb3df76694380474dcfd0c30f519155501b782eb6e641f");
  EXPECT_EQ(testing::PublicKeyOfSeed(kSeed), kPublicKey);
  EXPECT_EQ(
      Base64Encode(testing::SignWithSeed(kSeed, *canonical)),
      "5+fV/1o6SUHCS+3EwpEG6c4rhVtoFTN0yyFyfrKdbinn4Oil/Ie1H4QHtoWC4NKFfjdBvYklFCYkUzRfkcYNDw==");
  EXPECT_EQ(SemanticHash(0, Example().canonical_payload),
            "061526ca1f8c2fbc151d5839f935e7fa0c5c43974d47cddc5a8966ddd78f80e8");
}

TEST(Result, IsCanonicalItselfInEveryVersion) {
  for (int version = 0; version <= 2; ++version) {
    ResultFields fields = Example();
    fields.schema_version = version;
    fields.unit_id = "odd \"id\"\n\xc3\xa9";
    const auto canonical = CanonicalResult(fields);
    ASSERT_TRUE(canonical.ok());
    EXPECT_TRUE(CheckCanonicalObject(*canonical).ok()) << *canonical;
  }
}

TEST(Result, RefusesOtherVersions) {
  for (const int version : {-1, 3, 4}) {
    ResultFields fields = Example();
    fields.schema_version = version;
    EXPECT_EQ(CanonicalResult(fields).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Result, SemanticHashTellsExitCodesApart) {
  EXPECT_NE(SemanticHash(0, "{}"), SemanticHash(1, "{}"));
  EXPECT_NE(SemanticHash(0, "{\"a\":1}"), SemanticHash(0, "{\"a\":1.0}"));
  EXPECT_EQ(SemanticHash(-3, "{}"), Sha256HexOf(R"({"exit_code":-3,"payload":{}})"));
}

TEST(RawText, MustBeUtf8) {
  EXPECT_EQ(CanonicalRawText("u", kPublicKey, "\xed\xa0\x80").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*CanonicalRawText("u", kPublicKey, "x"),
            CanonicalRawTextOfDigest("u", kPublicKey, Sha256HexOf("x")));
}

TEST(HttpSignature, ExamplesOfTheCoordinatorsSpecification) {
  const std::string body = R"({"capabilities":{"os":"linux"}})";
  SignedParts parts{.method = "POST",
                    .path = "/api/v0/workers/wkr-AAAAAAAAAAAA/heartbeat",
                    .authority = "coord.example:8443",
                    .content_digest = ContentDigestHeader(Sha256(body)),
                    .created = 1784462400,
                    .keyid = kPublicKey};
  EXPECT_EQ(*parts.content_digest, "sha-256=:8JYl1s2GY0gTIf0fklWOEQTlkoAdN0p2hBccykMt71c=:");
  EXPECT_EQ(
      SignatureHeader(testing::SignWithSeed(kSeed, SignatureBase(parts))),
      "sig1=:"
      "TD7DdOogvjEHE3cyGnExIpozbauEHhoLdF3QkUsMsVd7zEnLEXO1Mf95t4y2NJBWjhJLSYCGhT1TiOFjFUFJDQ==:");
  parts.method = "GET";
  parts.path = "/api/v0/workers/wkr-AAAAAAAAAAAA/assignments";
  parts.authority = "coord.example";
  parts.content_digest.reset();
  EXPECT_EQ(SignatureHeader(testing::SignWithSeed(kSeed, SignatureBase(parts))),
            "sig1=:lJlhcVtJxhQBhyIT/qbAI2rKv884/"
            "6H4FdvdgnR5VlikLOpaf7AvOdlgb7lbcruIQMR3oFEQ6nyxhE4HbAs/AQ==:");
}

}  // namespace
}  // namespace auspex
