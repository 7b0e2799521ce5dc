#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/core/task_table.hpp>

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>

namespace multifork::test {

/// A pool's table of eight tasks for two workers, without a pool.
class Table {
public:
    [[nodiscard]] core::TaskTable operator*() const {
        core::TaskTable table;
        table.header = reinterpret_cast<core::TaskHeader*>(object_.data());
        table.shape = shape_;
        table.domain = &object_.space().domain();
        return table;
    }
    [[nodiscard]] core::Seat& seat(std::uint32_t number) const { return (**this).seat(number); }
    void put(std::uint32_t slot) const {
        BOOST_TEST_REQUIRE(core::task_put(**this, slot));
        core::task_wake(**this, 1);
    }

private:
    core::TaskShape shape_{2, 8};
    arena::Object object_ =
        arena::Object::make(shape_.bytes(), arena::Kind::message_leases, [](std::byte*) {});
};

} // namespace multifork::test
