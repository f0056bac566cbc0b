// SPDX-License-Identifier: AGPL-3.0-only
// Each role reaches its own calls and no others (promise P3), on the real daemon.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

TEST(DaemonRoles, ASocketHasOnlyItsOwnRolesMethods) {
  const ScratchDir home;
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  keyd.CreateKey();
  keyd.Enrol();
  for (const std::string role : {"request", "result", "owner"}) {
    SCOPED_TRACE(role);
    v1::SignRequestRequest poll;
    poll.mutable_poll();
    v1::SignedRequest signed_request;
    v1::KeyIdentity identity;
    v1::SignRawTextRequest raw;
    raw.set_unit_id("u-1");
    raw.set_assignment_id("asg-1");
    raw.set_raw_sha256(std::string(32, 'd'));
    v1::SignRawTextResponse raw_response;
    v1::SignResultResponse result_response;
    v1::KeyStatus key_status;
    v1::SetEnrolmentResponse enrolment;
    v1::DestroyKeyResponse destroyed;
    v1::OpenGrantResponse grant;
    const auto code = [&](bool own, const grpc::Status& status) {
      if (own) {
        EXPECT_NE(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
      } else {
        EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
      }
    };
    const bool request = role == "request", result = role == "result", owner = role == "owner";
    code(request, keyd.request(role)->SignRequest(Deadline().get(), poll, &signed_request));
    code(request, keyd.request(role)->GetIdentity(Deadline().get(), {}, &identity));
    code(result, keyd.result(role)->SignRawText(Deadline().get(), raw, &raw_response));
    code(result, keyd.result(role)->SignResult(Deadline().get(), {}, &result_response));
    code(owner, keyd.owner(role)->GetStatus(Deadline().get(), {}, &key_status));
    code(owner, keyd.owner(role)->CreateKey(Deadline().get(), {}, &identity));
    code(owner, keyd.owner(role)->SetEnrolment(Deadline().get(), {}, &enrolment));
    code(owner, keyd.owner(role)->OpenGrant(Deadline().get(), {}, &grant));
    if (!owner) {
      code(false, keyd.owner(role)->DestroyKey(Deadline().get(), {}, &destroyed));
      const auto stub = keyd.owner(role);
      const auto context = Deadline();
      const auto reader = stub->ListJournal(context.get(), {});
      v1::JournalRecord record;
      EXPECT_FALSE(reader->Read(&record));
      code(false, reader->Finish());
    }
  }
}

TEST(DaemonRoles, SocketsAreTheOwnersAlone) {
  const ScratchDir home;
  KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  for (const std::string role : {"request", "result", "owner"}) {
    struct stat info;
    ASSERT_EQ(::stat(keyd.SocketPath(role).c_str(), &info), 0) << role;
    EXPECT_TRUE(S_ISSOCK(info.st_mode));
    EXPECT_EQ(info.st_mode & 0077, 0u) << role;
  }
  EXPECT_EQ(keyd.Stop(SIGTERM), 0) << keyd.log();
  struct stat info;
  EXPECT_NE(::stat(keyd.SocketPath("request").c_str(), &info), 0);
}

TEST(DaemonRoles, AMessageLargerThanTheRolesLimitIsRefused) {
  const ScratchDir home;
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  v1::SignRequestRequest large;
  large.mutable_refuse()->set_unit_id(std::string(65 * 1024, 'u'));
  v1::SignedRequest out;
  EXPECT_EQ(keyd.request()->SignRequest(Deadline().get(), large, &out).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  v1::SignResultRequest payload;
  payload.set_canonical_payload(std::string(3 * 1024 * 1024, 'x'));
  v1::SignResultResponse result;
  EXPECT_EQ(keyd.result()->SignResult(Deadline().get(), payload, &result).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(DaemonRoles, AFolderHasOneKeyd) {
  const ScratchDir home;
  const KeydProcess first(home.path());
  ASSERT_TRUE(first.ready()) << first.log();
  KeydProcess second(home.path());
  EXPECT_FALSE(second.ready());
  EXPECT_EQ(second.WaitForExit(), 2) << second.log();
}

}  // namespace
}  // namespace auspex::keyd
