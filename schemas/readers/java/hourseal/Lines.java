package hourseal;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** Vectors of tests/vectors/envelope on stdin, one a line; how each of them ended on stdout. */
public final class Lines {
  private static final HexFormat HEX = HexFormat.of();

  public static void main(String[] arguments) throws IOException {
    Gson gson = new GsonBuilder().serializeNulls().create();
    try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, UTF_8))) {
      for (String line; (line = in.readLine()) != null; ) {
        out.write(gson.toJson(answer(JsonParser.parseString(line).getAsJsonObject())));
        out.newLine();
      }
    }
  }

  private static JsonObject answer(JsonObject vector) {
    JsonObject answer = new JsonObject();
    byte[] commitment = bytes(vector.get("commitment"));
    if (vector.has("wrapped")) {
      HoursealReader.Outcome<byte[]> dek = unwrap(vector, commitment);
      answer.addProperty("expect", dek.refusal() == null ? "unwrapped" : dek.refusal().toString());
      if (dek.refusal() == null) answer.add("dek", hex(dek.value()));
      return answer;
    }
    HoursealReader.Outcome<HoursealReader.Event> event = open(vector, commitment);
    answer.addProperty("expect", event.refusal() == null ? "opened" : event.refusal().toString());
    if (event.refusal() == null) describe(event.value(), answer);
    return answer;
  }

  private static HoursealReader.Outcome<byte[]> unwrap(JsonObject vector, byte[] commitment) {
    HoursealReader.Slot slot = new HoursealReader.Slot(
        text(vector, "customer"), vector.get("hour").getAsLong(), vector.get("generation").getAsInt());
    byte[] wrapped = bytes(vector.get("wrapped"));
    return HoursealReader.unwrap(wrapped, bytes(vector.get("kek")), text(vector, "kek_id"), slot, commitment);
  }

  private static HoursealReader.Outcome<HoursealReader.Event> open(JsonObject vector, byte[] commitment) {
    String stream = text(vector, "stream");
    byte[] dek = bytes(vector.get("dek"));
    if (vector.has("envelope")) {
      return HoursealReader.open(bytes(vector.get("envelope")), text(vector, "customer"), stream, dek, commitment);
    }
    List<HoursealReader.Header> headers = new ArrayList<>();
    for (JsonElement header : vector.getAsJsonArray("record_headers")) {
      JsonArray pair = header.getAsJsonArray();
      headers.add(new HoursealReader.Header(bytes(pair.get(0)), bytes(pair.get(1))));
    }
    HoursealReader.Record record =
        new HoursealReader.Record(bytes(vector.get("record_key")), headers, bytes(vector.get("record_value")));
    return HoursealReader.open(record, stream, dek, commitment);
  }

  private static void describe(HoursealReader.Event event, JsonObject answer) {
    JsonArray headers = new JsonArray();
    for (HoursealReader.Header header : event.headers()) {
      JsonArray pair = new JsonArray();
      pair.add(hex(header.name()));
      pair.add(hex(header.value()));
      headers.add(pair);
    }
    answer.addProperty("hour", event.slot().hour());
    answer.addProperty("generation", event.slot().generation());
    answer.addProperty("milliseconds", event.milliseconds());
    answer.add("key", hex(event.key()));
    answer.add("headers", headers);
    answer.add("payload", hex(event.payload()));
  }

  private static String text(JsonObject vector, String field) {
    return vector.get(field).getAsString();
  }

  private static byte[] bytes(JsonElement hex) {
    return hex.isJsonNull() ? null : HEX.parseHex(hex.getAsString());
  }

  private static JsonElement hex(byte[] bytes) {
    return bytes == null ? JsonNull.INSTANCE : new JsonPrimitive(HEX.formatHex(bytes));
  }
}
