// SPDX-License-Identifier: AGPL-3.0-only
// HttpClient against a server that behaves badly in every way that wire protocol 1.1 leaves open.
#include "common/http/http_client.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "tests/netd/mock_server.h"

namespace auspex {
namespace {

using testing::MockRequest;
using testing::MockServer;
using testing::MockWire;

BaseUrl Base(const MockServer& server) { return *BaseUrl::Parse(server.url()); }

HttpRequest Get(const MockServer& server, std::string target = "/x") {
  return {.method = "GET", .base = Base(server), .target = std::move(target)};
}

std::string Gzip(std::string_view plain) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
  std::string out(plain.size() / 500 + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(HttpClient, SendsWhatTheProtocolAsksForAndNothingMore) {
  MockServer server([](const MockRequest&, MockWire& wire) {
    wire.Reply(201, "hello", {{"X-One", "1"}, {"x-one", "2"}});
  });
  HttpClient client({});
  HttpRequest request{.method = "POST",
                      .base = Base(server),
                      .target = "/api/v0/a",
                      .headers = {{"Signature", "sig1=:AA==:"}},
                      .body = "{}"};
  absl::StatusOr<HttpResponse> response = client.Call(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body, "hello");
  EXPECT_EQ(response->Header("x-one"), "1, 2");
  request.body.clear();
  request.headers.clear();
  ASSERT_TRUE(client.Call(request).ok());
  ASSERT_TRUE(client.Call(Get(server)).ok());

  const auto seen = server.requests();
  ASSERT_EQ(seen.size(), 3u);
  const std::string authority = "127.0.0.1:" + std::to_string(server.port());
  EXPECT_EQ(seen[0].headers,
            (std::map<std::string, std::string>{{"host", authority},
                                                {"user-agent", "auspexai-worker/0.0.1"},
                                                {"accept", "*/*"},
                                                {"accept-encoding", "gzip, deflate"},
                                                {"signature", "sig1=:AA==:"},
                                                {"content-length", "2"}}));
  EXPECT_EQ(seen[1].headers.at("content-length"), "0");
  EXPECT_FALSE(seen[1].headers.contains("content-type"));
  EXPECT_EQ(seen[2].method, "GET");
  EXPECT_FALSE(seen[2].headers.contains("content-length"));
  EXPECT_EQ(server.connections(), 1) << "connections are kept and used again";
}

TEST(HttpClient, ManyThreadsShareOneClient) {
  MockServer server(
      [](const MockRequest& request, MockWire& wire) { wire.Reply(200, request.target); });
  HttpClient client({});
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 6; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 30; ++i) {
          const std::string target = "/" + std::to_string(t) + "/" + std::to_string(i);
          absl::StatusOr<HttpResponse> response = client.Call(Get(server, target));
          if (response.ok() && response->body == target) ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 180);
  EXPECT_LE(server.connections(), 6);
}

TEST(HttpClient, NeverFollowsARedirect) {
  MockServer server([](const MockRequest&, MockWire& wire) {
    wire.Reply(302, "", {{"Location", "/elsewhere"}});
  });
  HttpClient client({});
  absl::StatusOr<HttpResponse> response = client.Call(Get(server));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(server.Count("/elsewhere"), 0);
}

TEST(HttpClient, KeepsNoCookies) {
  MockServer server([](const MockRequest&, MockWire& wire) {
    wire.Reply(200, "", {{"Set-Cookie", "a=b"}});
  });
  HttpClient client({});
  ASSERT_TRUE(client.Call(Get(server)).ok());
  ASSERT_TRUE(client.Call(Get(server)).ok());
  EXPECT_FALSE(server.requests()[1].headers.contains("cookie"));
}

TEST(HttpClient, EndsABodyAtTheCapWithoutReadingTheRest) {
  std::atomic<uint64_t> sent = 0;
  MockServer server([&](const MockRequest&, MockWire& wire) {
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    const std::string chunk(65536, 'x');
    while (sent < 100'000'000 && wire.Send(chunk)) sent += chunk.size();
  });
  HttpClient client({});
  absl::StatusOr<HttpResponse> response = client.Call(Get(server));
  EXPECT_TRUE(absl::IsResourceExhausted(response.status())) << response.status();
  EXPECT_LT(sent, 50'000'000u);
}

TEST(HttpClient, CapsWhatABombUnpacksTo) {
  const std::string bomb = Gzip(std::string(50'000'000, '\0'));
  MockServer server([&](const MockRequest&, MockWire& wire) {
    wire.Reply(200, bomb, {{"Content-Encoding", "gzip"}});
  });
  HttpClient client({});
  EXPECT_TRUE(absl::IsResourceExhausted(client.Call(Get(server)).status()));
}

TEST(HttpClient, DecodesGzip) {
  const std::string packed = Gzip("some text");
  MockServer server([&](const MockRequest&, MockWire& wire) {
    wire.Reply(200, packed, {{"Content-Encoding", "gzip"}});
  });
  HttpClient client({});
  absl::StatusOr<HttpResponse> response = client.Call(Get(server));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "some text");
}

TEST(HttpClient, CapsHeaders) {
  MockServer server([&](const MockRequest& request, MockWire& wire) {
    if (request.target == "/many") {
      wire.Send("HTTP/1.1 200 OK\r\n");
      while (wire.Send("A: b\r\n")) {
      }
    } else if (request.target == "/long") {
      wire.Send("HTTP/1.1 200 OK\r\nA: ");
      const std::string chunk(8192, 'x');
      while (wire.Send(chunk)) {
      }
    } else {
      while (wire.Send("HTTP/1.1 100 Continue\r\n\r\n")) {
      }
    }
  });
  HttpClient client({});
  EXPECT_TRUE(absl::IsResourceExhausted(client.Call(Get(server, "/many")).status()));
  EXPECT_FALSE(client.Call(Get(server, "/long")).ok());
  EXPECT_FALSE(client.Call(Get(server, "/continue")).ok());
}

TEST(HttpClient, EndsASilentPeer) {
  MockServer server([](const MockRequest& request, MockWire& wire) {
    if (request.target == "/half") wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    wire.WaitForClose();
  });
  HttpClient client({});
  EXPECT_TRUE(absl::IsDeadlineExceeded(client.Call(Get(server), {.stall_seconds = 0.2}).status()));
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(client.Call(Get(server, "/half"), {.stall_seconds = 0.2}).status()));
}

TEST(HttpClient, EndsADripByTheTotalLimit) {
  std::atomic<bool> over = false;
  MockServer server([&](const MockRequest&, MockWire& wire) {
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (!over && wire.Send("x")) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  HttpClient client({});
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      client.Call(Get(server), {.stall_seconds = 5, .total_seconds = 0.5}).status()));
  over = true;
}

TEST(HttpClient, AHeaderThatDripsCountsAsSilence) {
  std::atomic<bool> over = false;
  MockServer server([&](const MockRequest&, MockWire& wire) {
    wire.Send("HTTP/1.1 200 OK\r\nA: ");
    while (!over && wire.Send("x")) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  HttpClient client({});
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      client.Call(Get(server), {.stall_seconds = 0.3, .total_seconds = 30}).status()));
  over = true;
}

TEST(HttpClient, ATruncatedBodyIsAnError) {
  MockServer server([](const MockRequest& request, MockWire& wire) {
    wire.Send(request.target == "/chunked"
                  ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"
                  : "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    wire.Close();
  });
  HttpClient client({});
  EXPECT_TRUE(absl::IsUnavailable(client.Call(Get(server)).status()));
  EXPECT_TRUE(absl::IsUnavailable(client.Call(Get(server, "/chunked")).status()));
}

TEST(HttpClient, AStopEndsALongPollAtOnce) {
  MockServer server([](const MockRequest&, MockWire& wire) { wire.WaitForClose(); });
  HttpClient client({});
  std::stop_source stop;
  std::jthread stopper([&] {
    server.WaitFor("/x", 1);
    stop.request_stop();
  });
  EXPECT_TRUE(absl::IsCancelled(
      client.Call(Get(server), {.stall_seconds = 60, .total_seconds = 60}, stop.get_token())
          .status()));
}

TEST(HttpClient, ASinkGetsTheBodyOfA200Only) {
  MockServer server([](const MockRequest& request, MockWire& wire) {
    wire.Reply(request.target == "/good" ? 200 : 404, "body");
  });
  HttpClient client({});
  std::string sunk;
  const HttpSink sink = [&](std::string_view octets) {
    sunk += octets;
    return absl::OkStatus();
  };
  absl::StatusOr<HttpResponse> response = client.Call(Get(server, "/bad"), {}, {}, sink);
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->body, "body");
  EXPECT_EQ(sunk, "");
  response = client.Call(Get(server, "/good"), {}, {}, sink);
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(sunk, "body");
  response = client.Call(Get(server, "/good"), {}, {},
                         [](std::string_view) { return absl::DataLossError("no room"); });
  EXPECT_TRUE(absl::IsDataLoss(response.status()));
}

TEST(HttpClient, SendsPlainHttpToLoopbackOnly) {
  HttpClient client({});
  const BaseUrl outside = *BaseUrl::Parse("http://192.0.2.1/", AllowPlainHttpAnywhere{});
  EXPECT_TRUE(absl::IsInvalidArgument(
      client.Call({.method = "GET", .base = outside, .target = "/"}).status()));
}

TEST(HttpClient, PlainHttpUsesNoProxy) {
  MockServer proxy([](const MockRequest&, MockWire& wire) { wire.Reply(200, "proxy"); });
  MockServer server([](const MockRequest&, MockWire& wire) { wire.Reply(200, "server"); });
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  HttpClient client({});
  absl::StatusOr<HttpResponse> response = client.Call(Get(server));
  ::unsetenv("http_proxy");
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->body, "server");
}

TEST(HttpClient, RefusesRequestsThatCouldSmuggle) {
  MockServer server([](const MockRequest&, MockWire& wire) { wire.Reply(200, ""); });
  HttpClient client({});
  for (const char* target : {"", "x", "/a b", "/a\r\nX: y", "/a#b", "/\x7f"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(client.Call(Get(server, target)).status())) << target;
  }
  HttpRequest request = Get(server);
  request.headers = {{"A", "b\r\nC: d"}};
  EXPECT_TRUE(absl::IsInvalidArgument(client.Call(request).status()));
  request.headers = {{"A b", "c"}};
  EXPECT_TRUE(absl::IsInvalidArgument(client.Call(request).status()));
  request.headers.clear();
  request.method = "DELETE";
  EXPECT_TRUE(absl::IsInvalidArgument(client.Call(request).status()));
  EXPECT_TRUE(server.requests().empty());
}

TEST(HttpClient, ARefusedConnectionIsUnavailable) {
  uint16_t port;
  {
    MockServer gone([](const MockRequest&, MockWire&) {});
    port = gone.port();
  }
  HttpClient client({});
  const BaseUrl base = *BaseUrl::Parse("http://127.0.0.1:" + std::to_string(port));
  EXPECT_TRUE(
      absl::IsUnavailable(client.Call({.method = "GET", .base = base, .target = "/"}).status()));
}

TEST(HttpClient, RubbishIsAnErrorNotAnAnswer) {
  MockServer server([](const MockRequest&, MockWire& wire) {
    wire.Send("SSH-2.0-OpenSSH_9.2\r\n");
    wire.Close();
  });
  HttpClient client({});
  EXPECT_FALSE(client.Call(Get(server)).ok());
}

TEST(HttpClient, PlainHttpGoesToThisMachineAlone) {
  HttpClient client({});
  // The last two are names and addresses that only look like ones of this machine.
  for (const char* url : {"http://192.0.2.1:1", "http://127.evil.invalid:1", "http://[::2]:1"}) {
    const absl::Status status = client
                                    .Call({.method = "GET",
                                           .base = *BaseUrl::Parse(url, AllowPlainHttpAnywhere()),
                                           .target = "/"})
                                    .status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << url << ": " << status;
  }
  for (const char* url : {"http://127.9.9.9:1", "http://localhost:1", "http://[::1]:1"}) {
    const absl::Status status =
        client.Call({.method = "GET", .base = *BaseUrl::Parse(url), .target = "/"}).status();
    EXPECT_TRUE(absl::IsUnavailable(status)) << url << ": " << status;
  }
}

}  // namespace
}  // namespace auspex
