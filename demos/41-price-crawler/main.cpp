// Looks up prices in a web shop: eight pages, by four processes and by one. Each page takes its
// time, so four who wait at once are four times as quick.

#include "shop.hpp"
#include "toolkit/claims.hpp"
#include "toolkit/distinct.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/stopwatch.hpp"
#include "toolkit/text.hpp"
#include "toolkit/web_client.hpp"
#include "toolkit/web_server.hpp"

#include <multifork/multifork.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <set>
#include <string>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "price-crawler";

const WebHeaders headers{{"User-Agent", "Mozilla/5.0 (multifork)"}, {"Accept-Language", "ko"}};

mp::List<int> pids;          // who printed a line,
mp::List<std::string> lines; // and which

// def craw_func(url):
void craw_func(const std::string& url) {
    WebSession requests;
    const shop::Soup soup(requests.post(url, "", headers));
    const std::string article = soup.select_one("h2.title");
    const std::string price = soup.select_one("strong.won");
    say("{}", shop::line_of(article, price));
    pids.append(mp::this_process::pid());
    lines.append(shop::line_of(article, price));
}

struct Seen {
    double seconds = 0; ///< in map()
    std::set<int> pids;
    std::vector<std::string> lines;
    std::int64_t at_once = 0; ///< requests that the shop had open at the same moment
};

Seen crawl(WebServer& server, const std::vector<std::string>& url_list, std::int64_t processes) {
    pids.clear();
    lines.clear();
    server.count_anew();
    heading(fmt::format("processes={}", processes));

    const Stopwatch start_time;
    mp::Pool pool{processes}; // Pool(processes=4)
    const Stopwatch map_time;
    pool.map(craw_func, url_list);
    const double seconds = map_time.seconds();
    pool.close();
    pool.join();
    say("--- {:.3f} seconds ---", start_time.seconds());

    Seen seen{seconds, distinct(pids), lines.copy(), server.most_at_once()};
    std::sort(seen.lines.begin(), seen.lines.end());
    return seen;
}

/// What map() throws when a page is not there.
std::string missing_page(WebServer& server) {
    mp::Pool pool{1};
    try {
        pool.map(craw_func, std::vector{server.url("/products/none")});
    } catch (const std::exception& error) {
        return error.what();
    }
    return "nothing";
}

/// How many times as quick n who wait at the same time must be, on a machine with other work, too.
double least_ratio(std::int64_t n) {
    return std::min(0.625 * static_cast<double>(n), 2.5);
}

void check(Claims& claims, const Seen& many, const Seen& one, std::int64_t pages,
           std::int64_t processes) {
    const auto right = shop::right_lines(pages);
    claims.check(many.lines == right && one.lines == right,
                 "Each article has its line with the shop's price, in whatever order",
                 count_of(pages, "line"));
    claims.check(one.pids.size() == 1 && one.at_once == 1,
                 "One process waits for one page at a time",
                 fmt::format("{}, {} at once", count_of(std::ssize(one.pids), "pid"),
                             count_of(one.at_once, "request")));
    const std::int64_t most = std::min(processes, pages);
    if (most == 1)
        return;
    claims.check(std::ssize(many.pids) == most && many.at_once == most,
                 fmt::format("{} processes wait for {} pages at a time", processes, most),
                 fmt::format("{}, {} at once", count_of(std::ssize(many.pids), "pid"),
                             count_of(many.at_once, "request")));
    const double ratio = one.seconds / many.seconds;
    const std::string seen =
        fmt::format("{:.2f} s and {:.2f} s, {:.1f} times", one.seconds, many.seconds, ratio);
    if (pages % processes == 0)
        claims.check(ratio > least_ratio(most),
                     fmt::format("Their map() needs about 1/{} of the time", most), seen);
    else
        claims.note(fmt::format("The time, with a last round that is not full: {}", seen));
}

struct Both {
    Seen many;
    Seen one;
};

Both crawl_twice(std::int64_t processes, std::int64_t pages, std::chrono::milliseconds delay) {
    WebServer server(shop::page, delay);
    fmt::print("{}\n", paint(Ink::strong, fmt::format("{} of a shop at {}",
                                                      count_of(pages, "price"), server.url(""))));
    std::vector<std::string> url_list;
    for (const std::string& path : shop::paths(pages))
        url_list.push_back(server.url(path));
    Seen many = crawl(server, url_list, processes);
    return {std::move(many), crawl(server, url_list, 1)};
}

int show(std::int64_t processes, std::int64_t pages, std::chrono::milliseconds delay) {
    Both both = crawl_twice(processes, pages, delay);
    const std::int64_t most = std::min(processes, pages);
    const auto enough = [&] {
        return most == 1 || (both.many.at_once == most &&
                             (pages % processes != 0 ||
                              both.one.seconds / both.many.seconds > least_ratio(most)));
    };
    for (int more = 0; more < 3 && !enough(); ++more) {
        delay *= 2;
        say("\nThis machine has much else to do. Once more, with pages twice as slow:\n");
        both = crawl_twice(processes, pages, delay);
    }

    Claims claims;
    check(claims, both.many, both.one, pages, processes);
    WebServer server(shop::page, delay);
    const std::string error = missing_page(server);
    claims.check(error.find("404 Not Found") != std::string::npos,
                 "A page that is not there: map() throws what the worker threw", error);
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Looks up prices in a web shop (a server of its own on the loopback "
                        "device): by\na pool of processes, and by a pool of one.\n",
                        "\nExit status: 0 when all that is checked holds, 1 when not, 2 when the "
                        "command\nline is wrong.\n");
        options.add_number("processes", "in the pool", 4, 1, 64);
        options.add_number("pages", "to look up", 8, 1, 1000);
        options.add_number("delay", "milliseconds that the shop takes for a page", 500, 1, 60'000);
        options.add_short({{"delay", 166}});
        if (!options.parse(argc, argv))
            return success;
        return show(options.number("processes"), options.number("pages"),
                    std::chrono::milliseconds(options.number("delay")));
    });
}
