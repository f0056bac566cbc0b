// SPDX-License-Identifier: AGPL-3.0-only
// The heartbeat and the poller of the real netd: what they send, when, and what they make of each
// answer (wire protocol 5.2, 5.3, 9).
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "common/json/reader.h"
#include "tests/netd/netd_process.h"

namespace auspex::testing {
namespace {

bool IsBeat(const MockRequest& request) { return request.target.ends_with(kBeat); }

TEST(Loops, SendExactlyWhatKeydComposed) {
  NetdLab lab(Polls([](int, const MockRequest&, MockWire& wire) { ReplyNoWork(wire); }), "/lab");
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor(kPoll, 2));
  ASSERT_TRUE(lab.server.WaitFor(kBeat, 2));
  EXPECT_EQ(lab.netd->Stop(), 0);
  const std::string authority = "127.0.0.1:" + std::to_string(lab.server.port());
  for (const MockRequest& request : lab.server.requests()) {
    EXPECT_EQ(request.headers.at("host"), authority);
    EXPECT_TRUE(request.headers.contains("signature-input"));
    EXPECT_TRUE(request.headers.contains("signature"));
    EXPECT_EQ(request.headers.at("user-agent"), "auspexai-worker/0.0.1");
    if (IsBeat(request)) {
      EXPECT_EQ(request.target, std::string("/lab") + kBeat);
      EXPECT_EQ(request.method, "POST");
      EXPECT_EQ(request.body, R"({"capabilities":{"os":"linux"}})");
      EXPECT_TRUE(request.headers.contains("content-digest"));
      EXPECT_EQ(request.headers.at("content-type"), "application/json");
    } else {
      EXPECT_EQ(request.target, std::string("/lab") + kPoll);
      EXPECT_EQ(request.method, "GET");
      EXPECT_FALSE(request.headers.contains("content-digest"));
      EXPECT_FALSE(request.headers.contains("prefer"));
    }
  }
  EXPECT_LE(lab.server.connections(), 2) << "connections are kept";
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) {
    return !s.heartbeats.empty() && s.heartbeats[0].ok() && s.heartbeats[0].trust_tier() == 1;
  }));
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) {
    return !s.polls.empty() && s.polls[0].no_work().idle_code() == "no_pending_work";
  }));
}

TEST(Loops, IdleUntilEnrolled) {
  NetdLab lab(Polls([](int, const MockRequest&, MockWire& wire) { ReplyNoWork(wire); }));
  lab.stated->SetDemand([](auto& demand) {
    demand.set_enrolled(false);
    demand.set_free_slots(0);
    demand.set_reason("not_enrolled");
  });
  lab.Start();
  netd::v1::ConnectionStatus status;
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  ASSERT_TRUE(lab.Owner()->GetStatus(&context, {}, &status).ok());
  EXPECT_TRUE(lab.server.requests().empty());
  lab.stated->SetDemand([](auto& demand) {
    demand.set_enrolled(true);
    demand.set_free_slots(1);
    demand.set_reason("ready");
  });
  EXPECT_TRUE(lab.server.WaitFor(kPoll, 1));
  EXPECT_TRUE(IsBeat(lab.server.requests().front()))
      << "the coordinator hears of us before it is asked for work";
}

TEST(Loops, AnOfferGoesToStatedAndTheNextPollFollowsAtOnce) {
  NetdLab lab(Polls([](int n, const MockRequest&, MockWire& wire) {
    if (n > 3) return ReplyNoWork(wire);
    ReplyUnit(wire, "asg-" + std::to_string(n), "u-" + std::to_string(n), R"({"b":1,"a":[1.50]})");
  }));
  // A poll interval of an hour: all polls but the first come because a unit was accepted and slots
  // are left.
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\nassignment_poll_interval_seconds = 3600\nlong_poll_seconds = 0\n");
  lab.stated->SetDemand([](auto& demand) { demand.set_free_slots(3); });
  lab.Start();
  ASSERT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.offers.size() == 3; }));
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) {
    return s.offers[0].assignment_id() == "asg-1" &&
           s.offers[0].canonical_payload() == R"({"a":[1.5],"b":1})" &&
           s.offers[2].unit_id() == "u-3";
  }));
  EXPECT_EQ(lab.server.Count(kPoll), 3) << "never more than there are slots";
  // A slot that becomes free is used at once.
  lab.stated->SetDemand([](auto& demand) {
    demand.set_free_slots(1);
    demand.set_generation(2);
  });
  EXPECT_TRUE(lab.server.WaitFor(kPoll, 4));
}

TEST(Loops, ALongPollIsAskedForAndFollowedAtOnce) {
  NetdLab lab(Polls([](int n, const MockRequest& request, MockWire& wire) {
    EXPECT_EQ(request.headers.at("prefer"), "wait=7");
    if (n > 3) return wire.WaitForClose();
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // the coordinator's wait
    wire.Reply(200, R"({"work_unit":null})", {{"Preference-Applied", "wait=7"}});
  }));
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\nassignment_poll_interval_seconds = 3600\nlong_poll_seconds = 7\n");
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor(kPoll, 4)) << "no interval between long polls";
  netd::v1::ConnectionStatus status;
  grpc::ClientContext context;
  ASSERT_TRUE(lab.Owner()->GetStatus(&context, {}, &status).ok());
  EXPECT_TRUE(status.long_polling());
  const auto stopped = std::chrono::steady_clock::now();
  EXPECT_EQ(lab.netd->Stop(), 0);
  // By itself it would end after 17 s.
  EXPECT_LT(std::chrono::steady_clock::now() - stopped, std::chrono::seconds(12))
      << "a stop ends an open long poll";
}

TEST(Loops, ACoordinatorThatDoesNotWaitIsPolledOnceAnInterval) {
  NetdLab lab(Polls([](int n, const MockRequest& request, MockWire& wire) {
    EXPECT_EQ(request.headers.at("prefer"), "wait=7");
    EXPECT_EQ(n, 1) << "polled again within the interval";
    ReplyNoWork(wire);
  }));
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\nassignment_poll_interval_seconds = 3600\nlong_poll_seconds = 7\n");
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor(kPoll, 1));
  // Longer than the shortest pause between long polls, so that a second poll would have come.
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  netd::v1::ConnectionStatus status;
  grpc::ClientContext context;
  ASSERT_TRUE(lab.Owner()->GetStatus(&context, {}, &status).ok());
  EXPECT_FALSE(status.long_polling());
  EXPECT_EQ(lab.netd->Stop(), 0);
}

TEST(Loops, ARefusedOfferIsNotAFailure) {
  NetdLab lab(Polls([](int n, const MockRequest&, MockWire& wire) {
    if (n > 1) return ReplyNoWork(wire);
    ReplyUnit(wire, "asg-1", "u-1");
  }));
  lab.stated->SetOfferAnswer([](const auto&) {
    stated::v1::OfferResponse response;
    response.set_decision("refused_tenant_deny");
    response.set_reason("on the deny list");
    return response;
  });
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor(kPoll, 2));
  netd::v1::ConnectionStatus status;
  grpc::ClientContext context;
  ASSERT_TRUE(lab.Owner()->GetStatus(&context, {}, &status).ok());
  EXPECT_EQ(status.offers_refused(), 1u);
  EXPECT_EQ(status.offers_accepted(), 0u);
}

TEST(Loops, HoldsAreRecordedAndAreNoFailures) {
  NetdLab lab(Polls([](int n, const MockRequest&, MockWire& wire) {
    if (n == 1)
      return ReplyError(
          wire, 423, "worker_paused",
          R"({"paused_at":"2026-07-19T12:00:00+00:00","pause_reason":"upgrade","no_fault":true})");
    if (n == 2) return ReplyError(wire, 423, "worker_quarantined", "null");
    ReplyNoWork(wire);
  }));
  lab.Start();
  ASSERT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.polls.size() >= 3; }));
  EXPECT_EQ(lab.netd->Stop(), 0);
  EXPECT_EQ(lab.stated->polls[0].hold().kind(), "pause");
  EXPECT_EQ(lab.stated->polls[0].hold().reason(), "upgrade");
  EXPECT_EQ(lab.stated->polls[1].hold().kind(), "quarantine");
  EXPECT_TRUE(lab.stated->polls[2].has_no_work());
  EXPECT_NE(lab.netd->Log().find(" 0 failed; work:"), std::string::npos);
}

TEST(Loops, W1NoAnswerEndsThePoller) {
  NetdLab lab(Polls([](int n, const MockRequest&, MockWire& wire) {
    if (n == 1) return wire.Reply(200, "<html>Sign in to the Wi-Fi</html>");
    if (n == 2) return ReplyUnit(wire, "../../../admin", "u-1");
    ReplyUnit(wire, "asg-1", "u-1");
  }));
  lab.Start();
  ASSERT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.offers.size() == 1; }));
  EXPECT_EQ(lab.netd->Stop(), 0);
  ASSERT_EQ(lab.stated->polls.size(), 2u);
  EXPECT_TRUE(lab.stated->polls[0].has_failure());
  EXPECT_TRUE(lab.stated->polls[1].has_failure());
  for (const MockRequest& request : lab.server.requests()) {
    EXPECT_TRUE(request.target == kBeat || request.target == kPoll) << request.target;
  }
}

TEST(Loops, TheEndOfAnOutageIsLoggedOnce) {
  std::atomic<bool> down = true;
  NetdLab lab([&](const MockRequest& request, MockWire& wire) {
    if (down) return wire.Reply(503, "");
    return IsBeat(request) ? ReplyHeartbeat(wire) : ReplyNoWork(wire);
  });
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor(kBeat, 2));
  ASSERT_TRUE(lab.server.WaitFor(kPoll, 2));
  down = false;
  // Two more of each: the first of them may have been on its way when the trouble ended.
  const auto seen = [&](bool beats) {
    int count = 0;
    for (const MockRequest& request : lab.server.requests()) count += IsBeat(request) == beats;
    return count;
  };
  ASSERT_TRUE(lab.server.WaitFor(kBeat, seen(true) + 3));
  ASSERT_TRUE(lab.server.WaitFor(kPoll, seen(false) + 3));
  EXPECT_EQ(lab.netd->Stop(), 0);
  const std::string log = lab.netd->Log();
  const size_t at = log.find("connected_again");
  ASSERT_NE(at, std::string::npos) << log;
  EXPECT_EQ(log.find("connected_again", at + 1), std::string::npos) << log;
  EXPECT_EQ(log.find("heartbeat_failed", at), std::string::npos) << log;
}

TEST(Loops, AnOfferThatStatedCannotReadIsAFailedPoll) {
  NetdLab lab(Polls([](int n, const MockRequest&, MockWire& wire) {
    if (n > 1) return ReplyNoWork(wire);
    ReplyUnit(wire, "asg-1", "u-1", "[]");
  }));
  lab.Start();
  ASSERT_TRUE(lab.stated->Wait([](const FakeStated& s) { return !s.polls.empty(); }));
  EXPECT_TRUE(lab.stated->Wait(
      [](const FakeStated& s) { return s.polls[0].has_failure() && s.offers.empty(); }));
}

// The coordinator gives it to nobody else before its lease is over.
TEST(Loops, AUnitThatStatedCannotTakeAtOnceIsNotLost) {
  NetdLab lab(Polls([](int n, const MockRequest&, MockWire& wire) {
    if (n > 1) return ReplyNoWork(wire);
    ReplyUnit(wire, "asg-1", "u-1");
  }));
  lab.stated->FailOffers(2);
  lab.Start();
  ASSERT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.offers.size() == 3; }));
  EXPECT_EQ(lab.netd->Stop(), 0);
  for (const stated::v1::OfferRequest& offer : lab.stated->offers)
    EXPECT_EQ(offer.assignment_id(), "asg-1");
  EXPECT_TRUE(std::none_of(lab.stated->polls.begin(), lab.stated->polls.end(),
                           [](const auto& poll) { return poll.has_failure(); }));
}

TEST(Loops, RetryAfterHoldsTheNextPollBack) {
  NetdLab lab(Polls([](int, const MockRequest&, MockWire& wire) {
    wire.Reply(429, R"({"error":"slow down"})", {{"Retry-After", "3600"}});
  }));
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor(kPoll, 1));
  // More demand does not shorten it; many heartbeats later there is still one poll.
  lab.stated->SetDemand([](auto& demand) { demand.set_generation(9); });
  ASSERT_TRUE(lab.server.WaitFor(kBeat, lab.server.Count(kBeat) + 30));
  EXPECT_EQ(lab.server.Count(kPoll), 1);
}

TEST(Loops, AClockThatIsOffIsNamed) {
  NetdLab lab([](const MockRequest&, MockWire& wire) {
    const std::string there = std::to_string(::time(nullptr) + 7200);
    ReplyError(wire, 401, "signature_expired", R"({"created":1,"server_time":)" + there + "}");
  });
  lab.Start();
  ASSERT_TRUE(lab.stated->Wait([](const FakeStated& s) { return !s.heartbeats.empty(); }));
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) {
    return !s.heartbeats[0].ok() &&
           s.heartbeats[0].error().find("signature_expired") != std::string::npos;
  }));
  netd::v1::ConnectionStatus status;
  grpc::ClientContext context;
  ASSERT_TRUE(lab.Owner()->GetStatus(&context, {}, &status).ok());
  EXPECT_NEAR(static_cast<double>(status.clock_skew_seconds()), 7200, 30);
  EXPECT_NE(status.last_error(), "");
  EXPECT_EQ(lab.netd->Stop(), 1) << "nothing but failures";
  EXPECT_NE(lab.netd->Log().find("event=clock_skew"), std::string::npos);
}

TEST(Loops, NoPollWaitsWhileAHoldIsInForce) {
  NetdLab lab(Polls([](int n, const MockRequest& request, MockWire& wire) {
    EXPECT_EQ(request.headers.contains("prefer"), n == 1 || n > 3);
    if (n < 3) return ReplyError(wire, 423, "worker_quarantined");
    if (n == 3) return ReplyNoWork(wire);
    wire.WaitForClose();
  }));
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\nassignment_poll_interval_seconds = 0.05\nlong_poll_seconds = 7\n");
  lab.Start();
  EXPECT_TRUE(lab.server.WaitFor(kPoll, 4));
}

TEST(Loops, APauseOfTheOwnerIsToldAtOnce) {
  NetdLab lab(Polls([](int, const MockRequest&, MockWire& wire) { ReplyNoWork(wire); }));
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\nheartbeat_interval_seconds = 3600\nlong_poll_seconds = 0\n");
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor(kBeat, 1));
  lab.stated->SetDemand([](auto& demand) {
    demand.set_free_slots(0);
    demand.set_reason("self_paused");
  });
  EXPECT_TRUE(lab.server.WaitFor(kBeat, 2));
}

TEST(Loops, ARestartOfStatedIsSurvived) {
  NetdLab lab(Polls([](int, const MockRequest&, MockWire& wire) { ReplyNoWork(wire); }));
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor(kBeat, 1));
  lab.stated.reset();
  lab.stated = std::make_unique<FakeStated>(lab.home + "/run/stated/net.sock");
  EXPECT_TRUE(lab.stated->Wait(
      [](const FakeStated& s) { return s.heartbeats.size() > 2 && s.polls.size() > 1; }));
}

TEST(Loops, KeydsWordIsNotTakenForAnotherCoordinator) {
  NetdLab lab(Polls([](int, const MockRequest&, MockWire& wire) { ReplyNoWork(wire); }));
  lab.keyd->SetHook([](const auto& request, keyd::v1::SignedRequest& out) {
    if (request.has_poll()) {
      out.set_path("/api/v0/../admin");
    } else {
      out.set_authority("127.0.0.1:1");
    }
    return grpc::Status::OK;
  });
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\nheartbeat_interval_seconds = 60\nassignment_poll_interval_seconds = 60\n");
  lab.Start();
  ASSERT_TRUE(lab.stated->Wait([](const FakeStated& s) { return !s.heartbeats.empty(); }));
  // The first word is final: asking again and again would only fill keyd's journal.
  int asked = 0;
  lab.keyd->SetHook([&](const auto&, keyd::v1::SignedRequest& out) {
    ++asked;
    out.set_authority("127.0.0.1:1");
    return grpc::Status::OK;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(lab.netd->Stop(), 1);
  EXPECT_LE(asked, 2);
  EXPECT_TRUE(lab.server.requests().empty());
}

}  // namespace
}  // namespace auspex::testing
