<?php
// The PHP half of a contest: side.php GROUP OPTIONS, steps on stdin, answers on stdout, a line of JSON each.

require __DIR__ . "/programs.php";

/** @return array{float, mixed} milliseconds and result */
function timed(callable $run): array
{
    $start = hrtime(true);
    $result = $run();
    return [(hrtime(true) - $start) / 1e6, $result];
}

function expect(string $what, mixed $actual, mixed $expected): void
{
    if ($actual !== $expected) {
        throw new Exception("$what: expected " . json_encode($expected) . ", got " . json_encode($actual));
    }
}

[, $group, $options] = $argv;
$steps = $group(json_decode($options, true));
// The most memory that this process has had; Linux counts it in KiB.
$steps["peak"] = fn() => ["bytes" => getrusage()["ru_maxrss"] * 1024];
while (($line = fgets(STDIN)) !== false) {
    [$step, $argument] = json_decode($line, true);
    echo json_encode((object) ($steps[$step]($argument) ?? [])), "\n";
}
