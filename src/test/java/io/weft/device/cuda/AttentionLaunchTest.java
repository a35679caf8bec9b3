package io.weft.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.AttentionShape;
import io.weft.device.AttentionWork;
import io.weft.device.DeviceBuffer;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class AttentionLaunchTest {
    private static final long WORKSPACE_BYTES = 64L << 20;
    private static final int MULTIPROCESSORS = 132;

    @Property
    void everyTokenOfASpanIsInOneTile(
            @ForAll @IntRange(min = 1, max = 5000) int tokens, @ForAll @IntRange(min = 1, max = 600) int cellTokens) {
        int tiles = 0;
        for (int cell = 0; cell < tokens; cell += cellTokens) {
            int end = Math.min(cell + cellTokens, tokens);
            for (int at = cell; at < end; at += AttentionLaunch.TILE_TOKENS) {
                tiles++;
            }
        }
        assertThat(AttentionLaunch.tiles(tokens, cellTokens)).isEqualTo(tiles);
    }

    @Property
    void partialResultsFitTheWorkspaceAndEveryTileIsLaunched(
            @ForAll @IntRange(min = 1, max = 4096) int spans,
            @ForAll @IntRange(min = 1, max = 600) int rows,
            @ForAll @IntRange(min = 1, max = 200_000) int tokens,
            @ForAll @IntRange(min = 1, max = 16) int keyValueHeads,
            @ForAll @IntRange(min = 1, max = 40) int group,
            @ForAll @IntRange(min = 1, max = 256) int headSize) {
        AttentionShape shape = shape(keyValueHeads * group, keyValueHeads, headSize);
        AttentionLaunch launch = AttentionLaunch.of(shape, work(spans, rows, tokens), WORKSPACE_BYTES, MULTIPROCESSORS);

        long slots = (long) launch.spansAtOnce() * keyValueHeads * launch.fewQueries() * launch.tilesAtOnce();
        assertThat(launch.accumulatorBytes(launch.spansAtOnce(), launch.tilesAtOnce()) + slots * 2 * Float.BYTES)
                .isLessThanOrEqualTo(WORKSPACE_BYTES);
        assertThat(launch.spansAtOnce()).isBetween(1, spans);
        assertThat(launch.tilesAtOnce()).isBetween(1, launch.tiles());
        assertThat(launch.fewQueries()).isEqualTo(Math.min(rows, launch.fewRows()) * group);
        assertThat(launch.hasMany()).isEqualTo(rows > launch.fewRows());
        assertThat(launch.hasFew() || launch.hasMany()).isTrue();
        assertThat(launch.manyQueryTiles() * AttentionLaunch.TILE_QUERIES)
                .isGreaterThanOrEqualTo(launch.hasMany() ? rows * group : 0);
    }

    @Test
    void fewRowsFillOneQueryTile() {
        assertThat(fewRows(32, 32, 100)).isEqualTo(16);
        assertThat(fewRows(8, 32, 100)).isEqualTo(4);
        assertThat(fewRows(8, 32, 1)).isEqualTo(4);
        AttentionLaunch wide = AttentionLaunch.of(shape(40, 1, 128), work(1, 1, 1), WORKSPACE_BYTES, MULTIPROCESSORS);
        assertThat(wide.fewQueryTiles()).isEqualTo(3);
    }

    @Test
    void theRowsOfDraftsAreDividedByTokensWhereTheyWouldLeaveMultiprocessorsIdle() {
        for (int rows = 1; rows <= 16; rows++) {
            AttentionLaunch launch =
                    AttentionLaunch.of(shape(32, 8, 128), work(1, rows, 16_384), WORKSPACE_BYTES, MULTIPROCESSORS);
            assertThat(launch.hasMany()).isFalse();
            assertThat(launch.fewQueryTiles()).isEqualTo(Math.ceilDiv(4 * rows, AttentionLaunch.TILE_QUERIES));
        }
        assertThat(fewRows(8, 1, 17)).isEqualTo(4);
        assertThat(fewRows(8, 17, 9)).isEqualTo(4);
    }

    private static int fewRows(int keyValueHeads, int spans, int rows) {
        return AttentionLaunch.of(shape(32, keyValueHeads, 128), work(spans, rows, 1), WORKSPACE_BYTES, MULTIPROCESSORS)
                .fewRows();
    }

    @Test
    void spansAreTakenWholeWhereTheyGiveEveryMultiprocessorItsShare() {
        assertThat(fillsDevice(32, 32)).isTrue();
        assertThat(fillsDevice(1, 32)).isFalse();
        assertThat(fillsDevice(16, 8)).isFalse();
        assertThat(fillsDevice(17, 8)).isTrue();
    }

    private static boolean fillsDevice(int fullSpans, int keyValueHeads) {
        AttentionWork work = new AttentionWork(new DeviceBuffer(0, 0), 32, 1, 1024, fullSpans);
        return AttentionLaunch.of(shape(32, keyValueHeads, 128), work, WORKSPACE_BYTES, MULTIPROCESSORS)
                .spansFillDevice();
    }

    @Test
    void aWorkspaceWithoutRoomForOneTileIsRefused() {
        assertThatThrownBy(() -> AttentionLaunch.of(shape(32, 32, 128), work(1, 1, 64), 1024, MULTIPROCESSORS))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("1,024");
    }

    private static AttentionShape shape(int heads, int keyValueHeads, int headSize) {
        return new AttentionShape(heads, keyValueHeads, headSize, 1, 0, Integer.MAX_VALUE, 16, 64);
    }

    private static AttentionWork work(int spans, int rows, int tokens) {
        return new AttentionWork(new DeviceBuffer(0, 0), spans, rows, tokens, spans);
    }
}
