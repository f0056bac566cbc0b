// SPDX-License-Identifier: AGPL-3.0-only
// A real keyd with a key whose seed the test knows, some signatures in its journal, and the real
// command beside it.
#ifndef AUSPEX_TESTS_CLI_AUDIT_FIXTURE_H_
#define AUSPEX_TESTS_CLI_AUDIT_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/json/reader.h"
#include "common/wire/result.h"
#include "tests/cli/run_command.h"
#include "tests/journal/made_journal.h"
#include "tests/keyd/keyd_process.h"

namespace auspex::cli {

class AuditVerbs : public ::testing::Test {
 protected:
  // A key, its enrolment, the results u-1 to u-3 and a refused one, which is the last record.
  void SetUp() override {
    keyd_ = std::make_unique<keyd::KeydProcess>(home_.path());
    ASSERT_TRUE(keyd_->ready()) << keyd_->log();
    testing::WriteText(home_.path() + "/state/keyd/import.key", std::string(64, '7'));
    std::filesystem::permissions(
        home_.path() + "/state/keyd/import.key",
        std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    keyd::v1::ImportKeyRequest import;
    import.set_format(keyd::v1::IMPORT_FORMAT_RAW_SEED);
    keyd::v1::KeyIdentity identity;
    const grpc::Status status =
        keyd_->owner()->ImportKey(keyd::Deadline().get(), import, &identity);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(identity.public_key_hex(), HexEncode(key_.public_key));
    keyd_->Enrol();
    keyd::v1::SignResultResponse first;
    ASSERT_TRUE(Sign("u-1", 1, &first).ok());
    first_result_ = static_cast<int>(first.journal_sequence());
    ASSERT_TRUE(Sign("u-2", 2).ok());
    ASSERT_TRUE(Sign("u-3", 3).ok());
    ASSERT_FALSE(Sign("u-\x1b[2J", 0).ok());
  }

  keyd::v1::SignResultRequest Request(const std::string& unit, int exit_code) const {
    keyd::v1::SignResultRequest request;
    request.set_unit_id(unit);
    request.set_assignment_id("asg-" + unit);
    request.set_completed_at("2026-07-19T23:21:50.000123+00:00");
    request.set_exit_code(exit_code);
    request.set_canonical_payload(R"({"n":1,"t":"caf\u00e9"})");
    request.set_schema_version(2);
    request.set_ran_under("strict");
    return request;
  }
  grpc::Status Sign(const std::string& unit, int exit_code,
                    keyd::v1::SignResultResponse* out = nullptr) const {
    keyd::v1::SignResultResponse response;
    const grpc::Status status = keyd_->result()->SignResult(
        keyd::Deadline().get(), Request(unit, exit_code), out == nullptr ? &response : out);
    return status;
  }
  // What the worker signs for such a result, composed here.
  std::string Octets(const std::string& unit, int exit_code, const std::string& key_hex) const {
    return R"({"completed_at":"2026-07-19T23:21:50.000123+00:00","exit_code":)" +
           std::to_string(exit_code) +
           R"(,"payload":{"n":1,"t":"caf\u00e9"},"ran_under":"strict","schema_version":2,)" +
           R"("served_weights":{},"unit_id":")" + unit + R"(","worker_pubkey":")" + key_hex + "\"}";
  }
  // The record of the result of u-N, and of the refusal after them.
  int RecordOf(int unit) const { return first_result_ + unit - 1; }
  int last() const { return first_result_ + 3; }
  std::string key_hex() const { return HexEncode(key_.public_key); }

  Outcome Audit(std::vector<std::string> words) const {
    words.insert(words.begin(), {"--home", home_.path(), "audit"});
    return RunProgram(BuiltProgram("auspex"), words);
  }
  // With --json; the exit code must be `code`.
  JsonValue AuditJson(std::vector<std::string> words, int code = 0) const {
    words.push_back("--json");
    const Outcome outcome = Audit(words);
    EXPECT_EQ(outcome.code, code) << outcome.out << outcome.err;
    absl::StatusOr<JsonValue> value = ReadJson(outcome.out);
    EXPECT_TRUE(value.ok()) << outcome.out << outcome.err;
    return value.ok() ? *value : JsonValue();
  }
  // A file of the test with `text`.
  std::string File(const std::string& name, const std::string& text) const {
    testing::WriteText(files_.path() + "/" + name, text);
    return files_.path() + "/" + name;
  }
  // A fresh checkpoint of all there is, in a file.
  std::string Kept(const std::string& name) const {
    const Outcome outcome = Audit({"head", "--sign", "--note"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return File(name, outcome.out);
  }
  std::string journal() const { return home_.path() + "/state/keyd/journal"; }
  std::string CopyOfJournal(const std::string& name) const {
    const std::string copy = files_.path() + "/" + name;
    std::filesystem::copy(journal(), copy, std::filesystem::copy_options::recursive);
    return copy;
  }
  static int64_t NumberIn(const JsonValue& value, std::string_view name) {
    const JsonValue* member = value.Find(name);
    return member == nullptr ? -1 : member->AsInt64().value_or(-1);
  }

  const testing::TestKey key_{0x77};  // the seed is 64 times the digit 7
  ScratchFolder home_, files_;
  std::unique_ptr<keyd::KeydProcess> keyd_;
  int first_result_ = 0;
};

}  // namespace auspex::cli

#endif  // AUSPEX_TESTS_CLI_AUDIT_FIXTURE_H_
