#!/usr/bin/perl
# Restores one member of a mark with perl, zstd and docs/repository-format*.md, and nothing of Tidemark.
#   restore-member.pl REPOSITORY GROUP MARK-NUMBER MEMBER TARGET
# Writes TARGET/data and TARGET/tablespaces (files), TARGET/wal (segments and timeline histories), and prints the base
# backup, the cut and the verdicts of the mark.
use strict;
use warnings;
use Digest::SHA qw(sha256 sha256_hex);
use File::Path qw(make_path);
use JSON::PP;

my ($repo, $group, $mark_number, $member, $target) = @ARGV;

sub slurp { my ($path) = @_; open my $in, '<:raw', $path or die "$path: $!"; local $/; return scalar <$in>; }
sub json { return decode_json(slurp("$repo/$_[0]")); }
sub offset { my ($high, $low) = split m{/}, (split /@/, $_[0])[0]; return hex($high) * 2**32 + hex($low); }
sub unzstd {
    my ($bytes) = @_;
    open my $out, '>:raw', "$target/frame" or die $!;
    print $out $bytes;
    close $out;
    my $plain = `zstd -dcq '$target/frame'`;
    die "zstd failed" if $?;
    return $plain;
}

# Step 1: the mark says where the member's log is cut.
my $mark = json(sprintf 'groups/%s/marks/%010d', $group, $mark_number);
my ($line) = grep { $_->{name} eq $member } @{ $mark->{members} };
my $cut = $line->{cut};
my $epoch = $line->{history}{epoch};
print "cut ", (split /@/, $cut)[0], "\ntimeline $epoch\n";
for my $doubt (@{ $mark->{at}{in_doubt} }) {
    next if $doubt->{branch}{member} ne $member;
    print "in-doubt $doubt->{branch}{gid} $doubt->{verdict}{decision}\n";
}

# The timelines on the way to the mark, oldest first, with the range of the log that each of them holds.
my ($begin, @way, %way) = (0);
for my $step (@{ $line->{history}{ancestors} // [] }, { epoch => $epoch }) {
    my $end = exists $step->{left_at} ? offset($step->{left_at}) : 2**63;
    push @way, $way{ $step->{epoch} } = { epoch => $step->{epoch}, begin => $begin, end => $end };
    $begin = $end;
}
sub lies_on_the_way {
    my ($position) = @_;
    my $step = $way{ (split /@/, $position)[1] // 1 };
    return $step && offset($position) >= $step->{begin} && offset($position) <= $step->{end};
}
sub came_the_same_way {
    my ($history) = @_;
    return !grep { !$way{ $_->{epoch} } || $way{ $_->{epoch} }{end} != offset($_->{left_at}) } @{ $history->{ancestors} // [] };
}

# Step 2: the newest base backup that a set names, lies on that way, and ends at or before the cut.
my %in_set;
for my $path (glob "$repo/groups/$group/sets/??????????") {
    my $part = decode_json(slurp($path))->{members}{$member};
    $in_set{ $part->{backup} } = 1 if $part && $part->{backup};
}
my $backup;
for my $path (sort glob "$repo/groups/$group/members/$member/backups/*/manifest") {
    my $manifest = decode_json(slurp($path));
    $backup = $manifest if $in_set{ $manifest->{number} } && came_the_same_way($manifest->{history}) &&
        lies_on_the_way($manifest->{start}) && lies_on_the_way($manifest->{stop}) &&
        offset($manifest->{stop}) <= offset($cut);
}
die "no backup" unless $backup;
print "backup $backup->{number}\n";

# Step 3: the page map, whose hash the manifest holds; files first, then frames.
my $map = slurp("$repo/$backup->{page_map}{key}");
die "page map damaged" if sha256_hex($map) ne $backup->{page_map}{sha256};
my ($at, %files, @frames) = (36);
my $payload;
sub v { my ($value, $shift) = (0, 0); while (1) { my $b = ord substr $payload, $at++, 1; $value |= ($b & 127) << $shift; return $value if $b < 128; $shift += 7; } }
sub z { my $n = v(); return $n & 1 ? -(($n + 1) >> 1) : $n >> 1; }
sub text { my $n = v(); $at += $n; return substr $payload, $at - $n, $n; }
my $position = 36;
while (substr($map, $position, 4) eq 'TMPC') {
    my ($chunk, $records, $length) = unpack 'x4 V3', substr $map, $position, 16;
    ($payload, $at) = (substr($map, $position + 36, $length), 0);
    for (1 .. $records) {
        my $type = ord substr $payload, $at++, 1;
        if ($type == 1) {
            my $index = v();
            my $kind = ord substr $payload, $at++, 1;
            my ($mode, $time, $size) = (v(), z(), v());
            $files{$index} = { kind => $kind, mode => $mode, size => $size, path => text(), link => text() };
        } else {
            my %frame = (backup => v(), lease => v(), pack => v(), offset => v(), stored => v(), plain => v());
            $frame{hash} = substr $payload, $at + 8, 16;
            $at += 24;
            my ($file, $end, $plain_end, $last) = (0, 0, 0, -1);
            for (1 .. v()) {
                $file += z();
                my $start = z() + ($file == $last ? $end : 0);
                my $count = v();
                my $in = $plain_end + z();
                push @{ $frame{extents} }, [ $file, $start, $count, $in ];
                ($end, $plain_end, $last) = ($start + $count, $in + $count, $file);
            }
            push @frames, \%frame;
        }
    }
    $position += 36 + $length;
}

# Step 4: folders, files of the right size, then the bytes of every frame.
make_path("$target/data", { mode => 0700 });
my %tablespace = map { $_->{path} =~ m{^pg_tblspc/(\d+)$} ? ($1 => "$target/tablespaces/$1") : () }
    grep { $_->{kind} == 3 } values %files;
make_path($_, { mode => 0700 }) for values %tablespace;
sub place { my ($path) = @_; return $path =~ m{^pg_tblspc/(\d+)/(.*)}s && $tablespace{$1} ? "$tablespace{$1}/$2" : "$target/data/$path"; }
for my $file (sort { $a->{path} cmp $b->{path} } values %files) {
    die "path $file->{path}" if $file->{path} =~ m{(^|/)\.\.?(/|$)|^/};
    if ($file->{kind} == 2) { make_path(place($file->{path}), { mode => 0700 }); next; }
    next if $file->{kind} == 3;
    my $path = place($file->{path});
    make_path($path =~ s{/[^/]*$}{}r, { mode => 0700 });
    open my $out, '>:raw', $path or die "$path: $!";
    truncate $out, $file->{size};
    close $out;
    chmod $file->{mode}, $path;
}
for my $frame (@frames) {
    my $pack = sprintf '%s/groups/%s/members/%s/packs/%010d-%010d-%06d', $repo, $group, $member, @$frame{qw(backup lease pack)};
    open my $in, '<:raw', $pack or die "$pack: $!";
    seek $in, $frame->{offset}, 0;
    read $in, my $bytes, 56 + $frame->{stored};
    my $stored = substr $bytes, 56;
    die "frame damaged" if substr(sha256($stored), 0, 16) ne $frame->{hash};
    my $plain = ord(substr $bytes, 16, 1) == 1 ? unzstd($stored) : $stored;
    for my $extent (@{ $frame->{extents} }) {
        my ($file, $start, $count, $from) = @$extent;
        open my $out, '+<:raw', place($files{$file}{path}) or die $!;
        seek $out, $start, 0;
        print $out substr $plain, $from, $count;
        close $out;
    }
}

# Step 5: backup_label as the server gave it, where the tablespaces are now, and a sign that this is a recovery.
sub spew { my ($path, $bytes) = @_; open my $out, '>:raw', $path or die "$path: $!"; print $out $bytes; close $out; }
spew("$target/data/backup_label", $backup->{backup_label});
spew("$target/data/tablespace_map", join '', map { "$_ $tablespace{$_}\n" } sort keys %tablespace) if %tablespace;
unlink "$target/data/standby.signal";
spew("$target/data/recovery.signal", '');

# Step 6: the histories of timelines; log pieces into segments, zeros after the last byte.
make_path("$target/wal", { mode => 0700 });
for my $path (glob "$repo/groups/$group/members/$member/log/*/history") {
    my ($number) = $path =~ m{/([0-9a-f]{8})/history$};
    spew(sprintf('%s/wal/%08X.history', $target, hex $number), slurp($path));
}
my $segment = $backup->{identity}{log_segment_size};
my $per = 2**32 / $segment;
for my $piece (sort glob "$repo/groups/$group/members/$member/log/*/*-*.??????????") {
    my ($of, $from) = map { hex } $piece =~ m{/([0-9a-f]{8})/([0-9a-f]{16})-};
    my $step = $way{$of} or next;
    my $bytes = `zstd -dcq '$piece'`;
    die "zstd failed for $piece" if $?;
    my $rest = $step->{end} - $from;
    $bytes = substr $bytes, 0, $rest > 0 ? $rest : 0 if $rest < length $bytes;
    while (length $bytes) {
        my $in = $from % $segment;
        my $part = substr $bytes, 0, $segment - $in, '';
        my $n = int($from / $segment);
        # Also into the segment with which a later timeline begins.
        for my $to (grep { $_->{epoch} == $of || ($_->{epoch} > $of && int($_->{begin} / $segment) == $n) } @way) {
            my $path = sprintf '%s/wal/%08X%08X%08X', $target, $to->{epoch}, int($n / $per), $n % $per;
            open my $out, -e $path ? '+<:raw' : '>:raw', $path or die "$path: $!";
            truncate $out, $segment unless -s $path;
            seek $out, $in, 0;
            print $out $part;
            close $out;
        }
        $from += length $part;
    }
}
unlink "$target/frame";
